"""Partitioned logs: right systems, systems with planted bugs, and the rules by definition, message by message."""

from __future__ import annotations

import random as randomness
from itertools import combinations, pairwise
from typing import Any

from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

BUGS = (
    "none",
    "none",
    "none",
    "none",
    "drop",
    "zombie",
    "twice",
    "skip",
    "back",
    "thin",
    "misplace",
    "rewind",
    "early",
)
BUGS += ("dirty", "leap", "clash")


def history(random: randomness.Random) -> list[Call]:
    """6-8 sends and polls of one or two keys, and assignments; at the end everything is polled from the beginning."""
    bug = random.choice(BUGS)
    keys = (0,) if random.random() < 0.7 else (0, 1)
    stepwise = random.random() < 0.5  # Jepsen's form
    logs: dict[int, dict[int, Any]] = {key: {} for key in keys}
    ends = dict.fromkeys(keys, 0)
    positions: dict[tuple[int, int], int] = {}
    ghosts: list[tuple[int, Any]] = []
    shown: set[tuple[int, int]] = set()
    asked = [0]
    begun = [Call(80, "send", value=300 + number, key=0) for number in range(random.choice([0, 0, 3]))]

    def ask(number: int, random: randomness.Random) -> Call:
        asked[0] = number
        key = random.choice(keys)
        draw = random.random()
        if stepwise and (number < 3 or draw < 0.1):
            return Call(0, random.choice(["assign", "assign", "subscribe"]), value=keys)
        if draw < (0.3 if begun else 0.5):
            return Call(0, "send", value=number, key=key)
        return Call(0, "poll", key=key)

    def send(key: int, value: Any, strikes: bool) -> Any:
        log, offset = logs[key], ends[key]
        if strikes and bug == "early" and offset > 1:
            offset = random.randrange(offset)
            if offset in log:
                return send(key, value, False)
            log[offset] = value
            return offset
        ends[key] = offset + random.choice([1, 1, 2])
        if bug == "clash" and (key, offset - 1) in shown:  # after it was polled: the log is cut and written again
            ends[key] = offset
            log[offset - 1] = value
            return offset - 1
        if not (strikes and bug == "drop"):
            log[offset] = value
        if strikes and bug == "twice":
            log[ends[key]] = value
            ends[key] += 1
        return offset + 1 if strikes and bug == "misplace" else offset

    def system(call: Call, random: randomness.Random) -> Any:
        strikes = random.random() < (0.8 if bug in ("rewind", "leap") else 0.4)
        if call.f in ("assign", "subscribe"):
            for key in keys:
                positions[call.process, key] = 0
            return None
        log = logs[call.key]
        if call.f == "send":
            if strikes and bug == "dirty":
                ghosts.append((call.key, call.value))
                return FAILED
            offset = send(call.key, call.value, strikes)
            return FAILED if strikes and bug == "zombie" else random.choice([offset, offset, None])
        begin = positions.get((call.process, call.key), 0)
        if strikes and bug == "rewind":
            begin = max(0, begin - 1)
        if strikes and bug == "leap":
            begin += 1
        pairs = [(offset, log[offset]) for offset in sorted(log) if offset >= begin][: random.randint(1, 2)]
        positions[call.process, call.key] = 1 + max((offset for offset, _ in pairs), default=begin - 1)
        if strikes and bug == "skip" and len(pairs) > 1:
            del pairs[random.randrange(len(pairs) - 1)]
        if strikes and bug == "back" and len(pairs) > 1:
            random.shuffle(pairs)
        if strikes and bug == "thin":
            pairs.append(random.choice([(1000, 100), (ends[call.key], asked[0] + 1)]))  # or what comes next
        if strikes and ghosts and ghosts[-1][0] == call.key:
            pairs.append((1001, ghosts[-1][1]))
        shown.update((call.key, offset) for offset, _ in pairs)
        return tuple(pairs)

    for call in begun:  # something to poll from the first moment on
        call.result = send(0, call.value, False)
    count = random.randint(6, 8) + 3 * stepwise
    calls = simulate(ask, system, count=count, processes=3, random=random, info=0.3, fails=0.06, is_read=_gave_up)
    for call in calls:
        call.invoked, call.completed = call.invoked + 10, call.completed + 10
    for number, call in enumerate(begun):
        call.invoked, call.completed = 1 + 2 * number, 2 + 2 * number
    calls += begun
    ghosts.clear()
    sends = [call for call in calls if call.f == "send"]
    if sends and random.random() < 0.2:
        random.choice(sends).outcome = random.choice(["fail", "info"])
    clock = 1 + max(max(call.invoked, call.completed) for call in calls)
    for number, key in enumerate(keys):
        at = clock + 10 * number
        last = Call(90, "send", value=200 + number, key=key, invoked=at, completed=at + 1)
        ends[key] = max(ends[key], 1 + max(logs[key], default=0))
        last.result = send(key, last.value, False)
        everything = tuple(sorted(logs[key].items()))
        calls += [last, Call(91, "poll", key=key, result=everything, invoked=at + 2, completed=at + 3)]
    return [_stepwise(call) for call in calls] if stepwise else calls


def _gave_up(call: Call) -> bool:
    """A poll whose answer was lost, and whose client says it failed and goes on: the log has moved its position."""
    return call.f == "poll" and call.process % 2 == 0


def _stepwise(call: Call) -> Call:
    """The same operation as Jepsen writes it."""
    key, call.key = call.key, None
    if call.f == "send":
        asked, answered = call.value, (call.result, call.value)
        call.value = (("send", key, asked),)
        call.result = (("send", key, asked if answered[0] is None else answered),) if call.outcome == "ok" else None
    elif call.f == "poll":
        call.result = (("poll", {key: call.result}),) if call.outcome == "ok" else None
        call.value = (("poll",),)
    return call


def _sent(call: Call) -> tuple[Any, Any, int | None]:
    if call.key is not None:
        return call.key, call.value, call.result if call.outcome == "ok" else None
    _, key, value = call.value[0]
    answer = call.result[0][2] if call.outcome == "ok" else value
    return key, value, answer[0] if isinstance(answer, tuple) else None


def _polled(call: Call) -> tuple[Any, list[tuple[int, Any]]]:
    if call.key is not None:
        return call.key, list(call.result or ())
    ((key, pairs),) = call.result[0][1].items()
    return key, list(pairs or ())


def legal(calls: list[Call]) -> bool:
    sends = [(call, *_sent(call)) for call in calls if call.f == "send"]
    polls = [(call, *_polled(call)) for call in calls if call.f == "poll" and call.outcome == "ok"]
    where: dict[Any, dict[int, set[Any]]] = {}  # key -> offset -> messages said to be there
    for call, key, value, offset in sends:
        if call.outcome == "ok" and offset is not None:
            where.setdefault(key, {}).setdefault(offset, set()).add(value)
    for _, key, pairs in polls:
        for offset, value in pairs:
            where.setdefault(key, {}).setdefault(offset, set()).add(value)
            own = [call for call, k, v, _ in sends if (k, v) == (key, value) and call.outcome != "fail"]
            if not own or all(one.invoked > _.completed for one in own):
                return False
    for places in where.values():
        if any(len(values) > 1 for values in places.values()):
            return False
        if len({value for values in places.values() for value in values}) < len(places):
            return False  # one message at two offsets
    for call, key, value, offset in sends:
        got = {v for _, k, pairs in polls for _, v in pairs if k == key}
        beyond = [o for _, k, pairs in polls for o, _ in pairs if k == key]
        if call.outcome == "ok" and offset is not None and value not in got and max(beyond, default=-1) > offset:
            return False
    return _in_order(polls, where) and _sent_in_order(sends, where) and _consumers_in_order(calls, where)


def _forward(offsets: list[int], known: dict[int, Any]) -> bool:
    return all(after > before and not any(before < one < after for one in known) for before, after in pairwise(offsets))


def _in_order(polls: list[Any], where: dict[Any, Any]) -> bool:
    return all(_forward([offset for offset, _ in pairs], where.get(key, {})) for _, key, pairs in polls)


def _sent_in_order(sends: list[Any], where: dict[Any, Any]) -> bool:
    placed = [
        (call, key, offset)
        for call, key, value, _ in sends
        if call.outcome != "fail"
        for offset, values in where.get(key, {}).items()
        if value in values
    ]
    for (one, key, offset), (other, other_key, other_offset) in combinations(placed, 2):
        if key != other_key:
            continue
        if one.outcome == "ok" and one.completed < other.invoked and offset > other_offset:
            return False
        if other.outcome == "ok" and other.completed < one.invoked and other_offset > offset:
            return False
    return True


def _consumers_in_order(calls: list[Call], where: dict[Any, Any]) -> bool:
    for process in {call.process for call in calls}:
        seen: dict[Any, list[int]] | None = None
        for call in sorted((call for call in calls if call.process == process), key=lambda call: call.invoked):
            if call.f in ("assign", "subscribe"):
                seen = {} if call.f == "assign" and call.outcome == "ok" else None
            elif call.f == "poll" and call.outcome != "ok":
                seen = None
            elif call.f == "poll" and seen is not None:
                key, pairs = _polled(call)
                seen.setdefault(key, []).extend(offset for offset, _ in pairs)
                if not _forward(seen[key], where.get(key, {})):
                    return False
    return True


def _model() -> Any:
    from chaoskit.checks.models.log import MODEL

    return MODEL


LOG = Subject("log", _model, history, legal)
SUBJECTS = [LOG]
_LOG, _BOOK, _READ = "chaoskit/checks/models/log.py", "chaoskit/checks/logbook.py", "chaoskit/checks/logs.py"


def _mutant(rule: str, file: str, old: str, new: str, count: int = 3000) -> Mutant:
    return Mutant("histories.log:LOG", rule, file, old, new, count)


MUTANTS = [
    _mutant("no lost", _LOG, 'add("lost", log.lost,', 'add("lost", log.lost[:0],'),
    _mutant("no resurrection", _LOG, '("resurrection", late,', '("resurrection", late & False,'),
    _mutant("no aborted read", _LOG, '("aborted-read", failed & ~late,', '("aborted-read", late & ~late,'),
    _mutant("no thin air", _LOG, '("thin-air", group == NONE,', '("thin-air", group < NONE,'),
    _mutant("no future read", _LOG, '("future-read", early,', '("future-read", early & False,'),
    _mutant("two messages at one offset", _LOG, '("inconsistent-offsets", log.place(key, offset), value),', ""),
    _mutant("one message at two offsets", _LOG, '("duplicate", which, np.searchsorted(log.offsets, offset)),', ""),
    _mutant(
        "polls may go back",
        _LOG,
        "for kind, mask in ((back, went_back), (jump, skipped)):",
        "for kind, mask in ((jump, skipped),):",
    ),
    _mutant(
        "polls may jump",
        _LOG,
        "for kind, mask in ((back, went_back), (jump, skipped)):",
        "for kind, mask in ((back, went_back),):",
    ),
    _mutant("consumers have no position", _LOG, '(False, "nonmonotonic-poll", "poll-skip")', ""),
    _mutant("one poll has no order", _LOG, '(True, "reordered", "gap"), ', ""),
    _mutant("sends have no order", _LOG, "found += _sends(log, name, message)", "pass"),
    _mutant("positions outlive a lost poll", _READ, 'if outcome != _OK and name != "send":', "if False:", 10_000),
    _mutant("subscribers have positions", _READ, 'if name == "assign" and outcome', "if outcome"),
    _mutant(
        "only acknowledgements tell places",
        _BOOK,
        "offset = np.concatenate([polled.sent_offset[sent], polled.offset[seen]])",
        "offset = np.concatenate([polled.sent_offset[sent], polled.offset[seen] * 0 - 1])",
    ),
    _mutant(
        "a gap is any jump",
        _LOG,
        "(log.between(before, after) > 0)",
        "(polled.offset[after] > polled.offset[before] + 1)",
    ),
]
