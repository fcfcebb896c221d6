"""Small valid files of every format, and what becomes of files: torn, mixed up, written over, bent in their values."""

from __future__ import annotations

import gzip
import io
import random as randomness

from chaoskit.registry import load

__all__ = ["FILES", "mutated"]

_REGISTERS = b"""\
{:type :invoke, :f :write, :value 1, :process 0, :time 10, :index 0}
{:type :invoke, :f :read, :value nil, :process 1, :time 20, :index 1, :node "n1"}
{:type :info, :f :start, :value [:n1 #{:n2}], :process :nemesis, :time 25, :index 2}
{:type :ok, :f :write, :value 1, :process 0, :time 40, :index 3}
{:type :ok, :f :read, :value 1, :process 1, :time 50, :index 4, :final? true}
{:type :invoke, :f :cas, :value [1 2], :process 0, :time 60, :index 5}
{:type :info, :f :cas, :value [1 2], :process 0, :time 70, :index 6}
{:type :invoke, :f :write, :value 9, :process 2, :time 71, :index 7}
{:type :fail, :f :write, :value 9, :process 2, :time 72, :index 8}
"""
_TRANSACTIONS = b"""\
[{:type :invoke, :f :txn, :value [[:append 5 1] [:r 5 nil]], :process 0, :time 1, :index 0}
 {:type :ok, :f :txn, :value [[:append 5 1] [:r 5 [1]]], :process 0, :time 2, :index 1} ; a comment
 {:type :invoke, :f :txn, :value [[:append 5 2] [:append 6 3]], :process 1, :time 3, :index 2}
 {:type :ok, :f :txn, :value [[:append 5 2] [:append 6 3]], :process 1, :time 4, :index 3}
 {:type :invoke, :f :txn, :value [[:r 6 nil] [:r 5 nil]], :process 0, :time 5, :index 4}
 {:type :ok, :f :txn, :value [[:r 6 [3]] [:r 5 [1 2]]], :process 0, :time 6, :index 5}]
"""
_KEYED = b"""\
#jepsen.history.Op{:type :invoke :f :add :value ["a" 1] :process 0}
#jepsen.history.Op{:type :ok :f :add :value ["a" 1] :process 0}
#jepsen.history.Op{:type :invoke :f :read :value ["a" nil] :process 1}
#jepsen.history.Op{:type :ok :f :read :value ["a" #{1 2.5 -3 10N \\x}] :process 1}
"""
_BANK = b"""\
[{"type": "invoke", "f": "transfer", "value": {"from": 0, "to": 1, "amount": 5}, "process": 0, "time": 1, "index": 0},
 {"type": "ok", "f": "transfer", "value": {"from": 0, "to": 1, "amount": 5}, "process": 0, "time": 2, "index": 1},
 {"type": "info", "f": "kill", "value": null, "process": "nemesis", "time": 3, "index": 2},
 {"type": "invoke", "f": "read", "value": null, "process": 1, "time": 4, "index": 3},
 {"type": "ok", "f": "read", "value": {"0": 5, "1": 15}, "process": 1, "time": 5, "index": 4}]
"""
_ETCD = b"""\
INFO  jepsen.util - 0\t:invoke\t:write\t3
INFO  jepsen.util - 1\t:invoke\t:read\tnil
INFO  jepsen.util - 0\t:ok\t:write\t3
INFO  jepsen.util - 1\t:ok\t:read\t3
INFO  jepsen.util - 2\t:invoke\t:cas\t[3 4]
INFO  jepsen.util - 2\t:info\t:cas\t:timed-out
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 0\t:fail\t:read\t:timed-out
"""
_TEXTS = b"""\
{:process 0, :type :invoke, :f :append, :key "4", :value "x 0 0 y"}
{:process 1, :type :invoke, :f :put, :key "5", :value "a"}
{:process 0, :type :ok, :f :append, :key "4", :value "x 0 0 y"}
{:process 0, :type :invoke, :f :get, :key "4", :value nil}
{:process 0, :type :ok, :f :get, :key "4", :value "x 0 0 y"}
"""
_POLYSI = b"w(5,1,0,100)\nr(5,1,1,7)\nw(6,2,1,7)\nr(6,0,0,101)\nw(5,3,0,101)\n"
_DBCOP = b"""\
{"params": {"id": 0, "n_node": 2}, "info": "", "data": [
 [{"events": [{"Write": {"variable": 0, "version": 1}}, {"Write": {"variable": "y", "version": 2}}],
   "committed": true}],
 [{"events": [["r", 0, 1], {"Read": {"variable": "y", "version": null}}], "committed": true},
  {"events": [["w", 0, 7]], "committed": false}]]}
"""
_HIST = b"// a comment\n[x:=1 y:=2] [x==1]!\n---\n[z==?]\n[x==0 w:=3]\n"
_LINES = b"""\
{"schema_version": 1, "marks": [{"label": "kill n1", "rank": 2, "time_ns": 25}], "notes": ["one"]}
{"process": 0, "f": "add", "key": "x", "value": 1, "outcome": "ok", "began_ns": 10, "ended_ns": 40}
{"process": 1, "f": "read", "key": "x", "result": {"$set": [1]}, "outcome": "ok", "began_ns": 12, "ended_ns": 38}
{"process": 2, "f": "add", "key": "x", "value": 2, "outcome": "info", "began_ns": 41, "node": "n\\u00e4"}
{"process": 3, "f": "read", "key": "x", "result": {"$set": [2, 1]}, "outcome": "ok", "began_ns": 50, "ended_ns": 60}
{"process": 4, "f": "add", "key": {"$map": [[1, "a"]]}, "value": 1.5, "outcome": "fail", "began_ns": 61, "ended_ns": 62}
{"process": 5, "f": "read", "key": "y", "result": {"$set": []}, "outcome": "ok", "began_ns": 70, "ended_ns": 71}
"""


def _parquet(lines: bytes) -> bytes:
    out = io.BytesIO()
    load("format", "parquet").write(load("format", "jsonl").read(io.BytesIO(lines), "lines"), out)
    return out.getvalue()


# name -> (content, a model that it is about)
FILES: dict[str, tuple[bytes, str]] = {
    "registers.edn": (_REGISTERS, "cas-register"),
    "transactions.edn": (_TRANSACTIONS, "list-append"),
    "keyed.edn": (_KEYED, "set"),
    "bank.json": (_BANK, "bank"),
    "etcd.log": (_ETCD, "cas-register"),
    "texts.log": (_TEXTS, "kv"),
    "polysi.txt": (_POLYSI, "rw-register"),
    "dbcop.json": (_DBCOP, "rw-register"),
    "dbcop.hist": (_HIST, "rw-register"),
    "lines.jsonl": (_LINES, "set"),
    "table.parquet": (_parquet(_LINES), "set"),
}

_WORDS = (
    *(bytes([one]) for one in b'\0\xff\n\t []{}()#"\\;,:-0'),
    *b'#{ #_ "" \r\n -1 00 1.5 1/2 1.5M 10N 1e999 NaN -Infinity ##NaN nil null true false [] {} #{1} [nil]'.split(b" "),
    *b"9223372036854775807 9223372036854775808 -9223372036854775808".split(),
    *b":ok :info :fail :invoke :nemesis :read :txn".split(),
    *b'"ok" "info" "fail" "invoke" "\\ud800" {"$set":[1,1]} {"$set":[1]} {"$map":3} [[:r\t5\tnil]] [1,2]'.split(b" "),
    b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1b[2J", b"\xe2\x80\xae", b"7" * 40, b"7" * 5000, b"k" * 70_000,
    b"[" * 3000, b'{"a":' * 3000, b"{:a " * 300,
)  # fmt: skip


def mutated(content: bytes, random: randomness.Random) -> bytes:
    """One to four changes, each of which a disk, an editor, a network or an enemy makes."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        content = random.choice(_CHANGES)(content, random)
    return gzip.compress(content) if random.random() < 0.05 else content


def _bytes(content: bytes, random: randomness.Random) -> bytes:
    made = bytearray(content)
    for _ in range(random.choice((1, 3, 20))):
        if made:
            made[random.randrange(len(made))] = random.randrange(256)
    return bytes(made)


def _cut(content: bytes, random: randomness.Random) -> bytes:
    start, end = sorted(random.randint(0, len(content)) for _ in range(2))
    return random.choice((content[:end], content[start:], content[:start] + content[end:]))


def _word(content: bytes, random: randomness.Random) -> bytes:
    """A word of some notation, between others or in the place of one."""
    ends = [at for at, one in enumerate(content) if one in b' \t\n,:;()[]{}"'] or [0]
    start = random.choice(ends) + 1
    end = random.choice((start, next((one for one in ends if one > start), len(content))))
    return content[:start] + random.choice(_WORDS) + content[end:]


def _lines(content: bytes, random: randomness.Random) -> bytes:
    """A line twice, gone, somewhere else, or with the end of another one."""
    lines = content.splitlines(keepends=True) or [b""]
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(4)
    if kind == 0:
        lines.insert(other, lines[one])
    elif kind == 1:
        del lines[one]
    elif kind == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        cut = random.randint(0, min(len(lines[one]), len(lines[other])))
        lines[one] = lines[one][:cut] + lines[other][cut:]
    return b"".join(lines)


def _swap(content: bytes, random: randomness.Random) -> bytes:
    """Two words change places, or one is written twice: what is known of fields is in the wrong one."""
    words = content.split(b" ")
    one, other = random.randrange(len(words)), random.randrange(len(words))
    words[one] = words[other]
    return b" ".join(words)


def _mixed(content: bytes, random: randomness.Random) -> bytes:
    """A piece of a file of another format inside."""
    other, _ = FILES[random.choice(sorted(FILES))]
    start = random.randint(0, len(other))
    at = random.randint(0, len(content))
    return content[:at] + other[start : start + random.randint(0, 300)] + content[at:]


def _ends(content: bytes, random: randomness.Random) -> bytes:
    return random.choice(
        (content.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + content, content.replace(b"\n", b"\r"), b"\n\n" + content)
    )


def _packed(content: bytes, random: randomness.Random) -> bytes:
    packed = gzip.compress(content)
    return random.choice((packed, packed + packed, packed[: random.randint(0, len(packed))], _bytes(packed, random)))


_CHANGES = (_bytes, _cut, *[_word] * 4, *[_lines] * 4, *[_swap] * 4, _mixed, _ends, _packed)
