"""Loading experiments: what comes out, and every mistake with its line and column."""

from __future__ import annotations

import os
import random
import string
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.errors import SpecError
from chaoskit.spec.load import load_experiment, read_experiment
from chaoskit.spec.model import Consistency


def test_a_good_file_with_its_defaults(read: Any, good: str, tmp_path: Path) -> None:
    loaded, problems = read(good)
    assert problems == []
    found = loaded.experiment
    assert found.name == "exp"
    assert found.target == str(tmp_path / "target")
    assert [v.name for v in found.variants] == ["patient", "impatient"]
    assert found.variants[1].env == {"api": {"DB_TIMEOUT": "250ms", "POOL": "4", "DEBUG": "true"}}
    assert (found.traffic.arrivals.rate, found.traffic.arrivals.random, found.traffic.mix) == (200.0, True, {})
    injection = found.timeline[0]
    assert (injection.id, injection.on, injection.at, injection.until) == ("slow-db", ("api -> db",), 5.0, 13.0)
    assert injection.parameters == {"latency": 0.2, "jitter": 0.02, "stream": "down"}
    assert [(c.id, c.window.kind, c.window.of) for c in found.claims] == [
        ("survives", "during", "slow-db"),
        ("recovers", "after", "slow-db"),
        ("codes-never-change", "whole", None),
    ]
    assert found.expect == {"impatient": {"survives": "refuted"}}
    assert (found.trials, found.seed, found.fresh, found.warm_up, found.settle) == (1, 1, "variant", 2.0, 2.0)
    assert found.duration == 13 + 5 + 3 + 2  # the fault, the claimed recovery, seeing it, the timeout
    assert loaded.given("traffic", "timeout") and not loaded.given("duration")
    assert loaded.place("timeline", 0, "on").column == good.splitlines()[11].index("api -> db") + 1


def test_the_least_file(read: Any) -> None:
    loaded, problems = read(
        "apiVersion: chaoskit/v1\nkind: Experiment\nquestion: Is it up?\ntarget: target\n"
        "claims: [{id: up, that: yield >= 99%}]\n"
    )
    assert problems == []
    found = loaded.experiment
    assert [v.name for v in found.variants] == ["default"]
    assert found.steady_state[0].text == "yield >= 99%"
    assert (found.traffic.arrivals.rate, found.traffic.timeout, found.duration) == (50.0, 2.0, 10.0)
    assert found.expect is None


def test_the_resolved_text_is_the_same_experiment(read: Any, good: str, tmp_path: Path) -> None:
    text = good.replace("5s}}}", "'${T:-5s}', PRICE: $$5, 'ODD': \"a: #'\\t\\\"ü\"}}}").replace("[", "&a [", 1)
    loaded, problems = read(text, overrides=["timeline.slow-db.latency=400ms", "seed=7"], environ={"T": "9s"})
    assert problems == []
    assert loaded.experiment.variants[0].env["api"] == {"DB_TIMEOUT": "9s", "PRICE": "$5", "ODD": "a: #'\t\"ü"}
    other = tmp_path / "elsewhere" / "exp.yaml"
    other.parent.mkdir()
    other.write_text(loaded.resolved)
    again, problems = read_experiment(other, environ={})
    assert problems == [] and again is not None
    assert again.experiment.model_copy(update={"file": loaded.experiment.file}) == loaded.experiment


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("chaoskit/v1", "chaoskit/v2", "1:13", "apiVersion is 'chaoskit/v2'"),
        ("Experiment", "experiment", "2:7", "write Experiment"),
        ("question: What breaks when the database is slow?\n", "", "1:1", "question is missing"),
        ("question: What breaks when the database is slow?", "question:", "3:1", "question is nothing"),
        ("question: What breaks when the database is slow?", "question: ''", "3:11", "question is empty"),
        ("question: What breaks when the database is slow?", "question: 12", "3:11", 'write "12"'),
        ("target: target", "target: nowhere", "4:9", "target 'nowhere' does not exist"),
        ("kind:", "kin:", "2:1", "unknown key 'kin'; did you mean 'kind'?"),
        ("traffic:", "trafic:", "8:1", "did you mean 'traffic'?"),
        ("  patient:", "  pa tient:", "6:3", "'pa tient' cannot name variants"),
        ("{env: {api: {DB_TIMEOUT: 5s}}}", "{evn: {}}", "6:13", "did you mean 'env'"),
        ("{env: {api: {DB_TIMEOUT: 5s}}}", "{env: {api: [A]}}", "6:24", "variants.patient.env.api is a list"),
        ("DB_TIMEOUT: 5s", "DB-TIMEOUT: 5s", "6:25", "'DB-TIMEOUT' cannot name variables"),
        ("DB_TIMEOUT: 5s", "DB_TIMEOUT: [5s]", "6:37", "DB_TIMEOUT is a list"),
        ("poisson: 200/s", "poisson: 200", "8:50", "write operations per time"),
        ("poisson: 200/s", "poison: 200/s", "8:41", "did you mean 'poisson'?"),
        ("poisson: 200/s", "poisson: 2/s, constant: 1/s", "8:55", "traffic.arrivals has 2 keys"),
        ("{poisson: 200/s}", "{}", "8:40", "traffic.arrivals has 0 keys"),
        ("{poisson: 200/s}", "200/s", "8:40", "traffic.arrivals is '200/s'"),
        ("{poisson: 200/s}", "{poisson: 0/s}", "8:50", "a rate above 0"),
        ("{poisson: 200/s}", "{ramp: {from: 1/s, to: 2/s, at: 0}}", "8:47", "traffic.arrivals.ramp.over is missing"),
        ("{poisson: 200/s}", "{spike: {base: 1/s, peak: 2/s, at: 0, for: 1s, random: on}}", "8:95", "text in YAML 1.2"),
        ("{poisson: 200/s}", "{spike: {base: 1/s, peak: 2/s, at: 0, for: 1s, id: slow-db}}", "8:40", "that of a fault"),
        ("timeout: 2s", "timeout: 2", "8:67", "write a number with a unit"),
        ("timeout: 2s", "timeout: 0s", "8:67", "a duration above 0"),
        ("timeout: 2s", "timeout: 2s, workers: '3'", "8:80", "remove the quotes"),
        ("timeout: 2s", "timeout: 2s, workers: 99", "8:80", "from 1 to 64"),
        ("timeout: 2s", "timeout: 2s, mix: {a: lots}", "8:80", "traffic.mix.a is not a weight"),
        ("timeout: 2s", "timeout: 2s, mix: {a: 0}", "8:76", "sends nothing"),
        ("timeout: 2s", "timeout: 2s, mix: {}", "8:76", "traffic.mix is empty"),
        ('"p99 <= 100ms"', '"p99 <= 100"', "9:42", "'100' is not a duration"),
        ('"p99 <= 100ms"', '"p98 <= 100ms"', "9:35", "did you mean 'p99'"),
        ('"p99 <= 100ms"', '"loss <= 1%"', "9:34", "cannot be judged live"),
        ("[\"yield < 20% for 5s\"]", "yield < 20% for ever", "10:24", "'ever' is not a duration"),
        ("at: 5s", "at: 5", "12:10", "timeline[0].at: '5' is not a duration"),
        ("at: 5s", "at: [5s]", "12:10", "timeline[0].at is a list"),
        ("at: 5s, ", "", "12:5", "timeline[0].at is missing"),
        ("for: 8s, ", "", "12:5", "timeline[0].for is missing"),
        ("fault: latency", "fault: latncy", "12:43", "did you mean 'latency'?"),
        ("fault: latency, ", "", "12:5", "timeline[0].fault is missing"),
        ("fault: latency", "fault: restart", "12:14", "restart is an instant"),
        ("on: api -> db, ", "", "12:5", "timeline[0].on is missing"),
        ("on: api -> db", "on: []", "12:56", "has 0 entries"),
        ("on: api -> db", "on: * -> db", "12:56", 'needs quotes: "* -> db"'),
        ("on: api -> db", "on: [api, b] -> db", "12:65", 'needs quotes: "[api, worker] -> db"'),
        ("latency: 200ms", "latency: 200", "12:76", "200 has no unit"),
        ("latency: 200ms", "latncy: 200ms", "12:67", "did you mean 'latency'"),
        ("latency: 200ms, ", "", "12:5", "timeline[0].latency is missing"),
        ("latency: 200ms", "latency: {}", "12:76", "timeline[0].latency is a map"),
        ("jitter: 20ms", "jitter: 900ms", "12:91", "jitter is larger than latency"),
        ("jitter: 20ms", "stream: dwn", "12:91", "did you mean 'down'?"),
        ("{id: survives, that", "{id: recovers, that", "15:10", "the id 'recovers' is given twice"),
        ("{id: survives, that", "{id: -s, that", "14:10", "claims[0].id is '-s'"),
        ("{id: survives, that", "{that", "14:5", "claims[0].id is missing"),
        ("yield of resolve >= 99%", "yield of resolve => 99%", "14:44", "did you mean '>='?"),
        ("during: slow-db", "during: slowdb", "14:61", "did you mean 'slow-db'?"),
        ("during: slow-db", "durng: slow-db", "14:53", "did you mean 'during'?"),
        ("during: slow-db", "during: slow-db, after: slow-db", "14:70", "two windows, during and after"),
        ('"p99 <= 100ms"', '"p99 <= 100ms for 5s"', "9:48", "there is no 'for' here"),
        (", after: slow-db", "", "15:5", "recovery needs a fault"),
        (", after: slow-db", ", during: slow-db", "15:44", "use after"),
        ("invariant: immutable", "invariant: imutable", "16:41", "did you mean 'immutable'?"),
        ("invariant: immutable", "invariant: immutable, after: slow-db", "16:52", "after cannot go with invariant"),
        ("invariant: immutable", "invariant: immutable, that: yield > 1%", "16:30", "both that and invariant"),
        (", invariant: immutable", "", "16:5", "neither that nor invariant nor model"),
        ("invariant: immutable", "model: registr", "16:37", "did you mean 'register'?"),
        ("invariant: immutable", "consistency: linearizable", "16:30", "add model: register"),
        ("invariant: immutable", "model: register, consistency: linearisable", "16:47", "did you mean 'linearizable'?"),
        ("invariant: immutable", "model: append, consistency: serializable", "16:45", "does not judge 'serializable'"),
        ("invariant: immutable", "model: unique-ids, consistency: linearizable", "16:49", "remove consistency"),
        ("invariant: immutable", "invariant: immutable, model: register", "16:52", "both invariant and model"),
        ("invariant: immutable", "invariant: immutable, of: resolve", "16:52", "of goes with model only; remove of"),
        (", during: slow-db", ", at: minority", "14:53", "write it into that, as: yield at NAME >= 99%"),
        ("invariant: immutable", "model: register, of: []", "16:51", "has 0 entries"),
        ("invariant: immutable", "model: register, during: slowdb", "16:55", "did you mean 'slow-db'?"),
        ("  impatient: {survives", "  impatent: {survives", "18:3", "did you mean 'impatient'"),
        ("{survives: refuted", "{survive: refuted", "18:15", "did you mean 'survives'?"),
        ("survives: refuted", "survives: refute", "18:25", "did you mean 'refuted'?"),
        ("expect:", "trials: 0\nexpect:", "17:9", "from 1 to 1,000"),
        ("expect:", "trials: 1.5\nexpect:", "17:9", "a whole number"),
        ("expect:", "seed: -1\nexpect:", "17:7", "a whole number"),
        ("expect:", "fresh: never\nexpect:", "17:8", "use one of: variant, trial"),
        ("expect:", "runtime: docker\nexpect:", "17:10", "use one of: process"),
        ("expect:", "duration: 8d\nexpect:", "17:11", "'8d' is not a duration"),
        ("expect:", "duration: 200h\nexpect:", "17:11", "longer than a week"),
        ("expect:", "name: a/b\nexpect:", "17:7", "name is 'a/b'"),
        ("expect:", "seed: 1\nseed: 2\nexpect:", "18:1", "duplicate key 'seed'"),
        ("expect:", "seed: ${SEED}\nexpect:", "17:7", "variable SEED is not set"),
        ("expect:", "seed: !!python/object:os.system 1\nexpect:", "17:7", "is not supported"),
        ("expect:", "? [a]\n: 1\nexpect:", "17:3", "a key must be text"),
        ("expect:", "seed: *nope\nexpect:", "17:7", "no anchor &nope"),
        ("expect:", "\tseed: 1\nexpect:", "17:1", "indent with spaces"),
        ("expect:", "name: a: b\nexpect:", "17:8", "quote the value"),
        ("expect:", "name: \"a\nexpect:", "17:7", "is the quote that opens here closed?"),
        ("expect:", "---\nexpect:", "17:1", "a second document"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_is(read: Any, good: str, old: str, new: str, where: str, what: str) -> None:
    assert good.count(old) >= 1
    _, problems = read(good.replace(old, new, 1))
    texts = [str(problem) for problem in problems]
    assert any(text.startswith(f"exp.yaml:{where}: ") and what in text for text in texts), texts


def test_all_mistakes_are_found_at_once(read: Any, good: str, tmp_path: Path) -> None:
    broken = (
        good.replace("target: target", "target: nowhere")
        .replace("timeout: 2s", "timeout: 2")
        .replace("p99 <= 100ms", "p98 <= 100ms")
        .replace("latency: 200ms", "latncy: 200ms")
        .replace("during: slow-db", "during: slow")
        .replace("immutable", "imutable")
        .replace("refuted", "refute")
    )
    _, problems = read(broken)
    assert sorted(problem.line for problem in problems) == [4, 8, 9, 12, 14, 16, 18]
    with pytest.raises(SpecError) as caught:
        load_experiment(tmp_path / "exp.yaml", environ={})
    assert len(caught.value.problems) == 7
    assert str(caught.value).count("\n") == 6


@pytest.mark.parametrize(
    ("overrides", "path", "value"),
    [
        (["timeline.slow-db.latency=400ms"], ("timeline", 0, "latency"), "400ms"),
        (["timeline.0.latency=400ms"], ("timeline", 0, "latency"), "400ms"),
        (["timeline.latency.latency=400ms"], ("timeline", 0, "latency"), "400ms"),
        (["claims.survives.that=yield >= 50%"], ("claims", 0, "that"), "yield >= 50%"),
        (["traffic.arrivals={constant: 300/s}"], ("traffic", "arrivals", "constant"), "300/s"),
        (["traffic.arrivals.poisson=300/s"], ("traffic", "arrivals", "poisson"), "300/s"),
        (["variants.patient.env.api.NEW=a=b"], ("variants", "patient", "env", "api", "NEW"), "a=b"),
        (["variants.third.env.db.X="], ("variants", "third", "env", "db", "X"), ""),
        (["trials=3", "trials=4"], ("trials",), "4"),
    ],
)
def test_overrides(read: Any, good: str, overrides: list[str], path: tuple[str | int, ...], value: str) -> None:
    loaded, problems = read(good, overrides)
    assert problems == []
    assert loaded.root.walk(path).text == value
    assert str(loaded.place(*path).problem("x")) == f"--set {overrides[-1]}: x"


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("trials", "is not an override"),
        ("=3", "is not an override"),
        ("a..b=3", "is not an override"),
        ("trails=3", "unknown key 'trails'; did you mean 'trials'?"),
        ("trials=three", "a whole number from 1 to 1,000"),
        ("timeline.slowdb.latency=1s", "no entry 'slowdb' in the list (it has slow-db); did you mean 'slow-db'?"),
        ("timeline.7.latency=1s", "no entry '7'"),
        ("timeline.slow-db.latncy=1s", "unknown key 'latncy' in timeline[0]"),
        ("timeline.slow-db.latency=[", "the value: not readable as YAML"),
        ("question.deep=1", "'deep' cannot be set"),
        ("traffic.arrivals.constant=1/s", "traffic.arrivals has 2 keys"),
        (".".join("a" * 5000) + "=1", "is not an override"),
    ],
)
def test_overrides_that_are_wrong(read: Any, good: str, override: str, what: str) -> None:
    _, problems = read(good, [override])
    assert any(str(problem).startswith(f"--set {override}: ") and what in str(problem) for problem in problems)


def test_an_override_through_an_alias_changes_one_place_only(read: Any, good: str) -> None:
    text = good.replace("{env: {api: {DB_TIMEOUT: 5s}}}", "&v {env: {api: {DB_TIMEOUT: 5s}}}").replace(
        "impatient: {env: {api: {DB_TIMEOUT: 250ms, POOL: 4, DEBUG: true}}}", "impatient: *v"
    )
    loaded, problems = read(text, ["variants.impatient.env.api.DB_TIMEOUT=1s"])
    assert problems == []
    assert [v.env["api"]["DB_TIMEOUT"] for v in loaded.experiment.variants] == ["5s", "1s"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"# nothing\n", "is empty"),
        (b"just text", "is 'just text' (a map with the keys"),
        (b"- a\n- b\n", "is a list"),
        (b"\x89PNG\r\n\x1a\n\x00", "exp.yaml:1:1: byte 0x89 is not UTF-8 text"),
        (b"a: 1\nb: caf\xe9\n", "exp.yaml:2:7: byte 0xe9"),
        (b"a: \x00", "exp.yaml:1:4: character U+0000"),
        (b"x" * (256 * 1024 + 1), "is larger than 256 KiB"),
        (b"[" * 100_000, "nested deeper than 40 levels"),
        (b"{a: " * 1000, "nested deeper than 40 levels"),
        (b"\n".join(b" " * i + b"a:" for i in range(300)), "nested deeper than 40 levels"),
        (b"a: &x [*x]\n", "*x contains itself"),
        (b"a: [" + b"1," * 30_000 + b"]", "more than 20,000 values"),
        (b"\xff\xfea\x00", "byte 0xff"),
    ],
)
def test_files_that_are_no_experiment(read: Any, content: bytes, what: str) -> None:
    loaded, problems = read(content)
    assert loaded is None
    assert what in str(problems[0])


def test_aliases_that_explode_cost_nothing(read: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    started = time.process_time()
    loaded, problems = read("\n".join(lines))
    assert loaded is None
    assert "aliases make more than 20,000 values" in str(problems[0])
    assert time.process_time() - started < 5


def test_messages_quote_no_more_than_can_be_read(read: Any) -> None:
    for content in (b"name: " + b"a" * 20_000, b"!" * 3000, b"k" * 900 + b": 1", b"duration: " + b"9m" * 5000):
        assert all(len(str(problem)) < 1000 for problem in read(content)[1])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(SpecError, match="is not a regular file"):
        load_experiment(tmp_path / "pipe.yaml", environ={})


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SpecError, match="cannot be read"):
            load_experiment(path, environ={})


def test_a_file_whose_name_cannot_name_runs(tmp_path: Path, good: str) -> None:
    (tmp_path / "target").mkdir()
    path = tmp_path / "my experiment.yaml"
    path.write_text(good)
    with pytest.raises(SpecError, match="'my experiment' cannot name its runs"):
        load_experiment(path, environ={})
    path.write_text(good + "name: mine\n")
    assert load_experiment(path, environ={}).experiment.name == "mine"


YAMLISH = st.text(
    alphabet="apiVersion:kind timelneclaims{}[]&*!|>'\"#%@`,?-<=$\n\t 0123456789~é\u2028\x85", max_size=200
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(YAMLISH | st.binary(max_size=200))
def test_no_text_raises_anything_else(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "fuzz.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    loaded, problems = read_experiment(path, environ={})
    assert problems or loaded is not None


PIECES = ["", "\n", "  ", "{", "}", "[", "]", ": ", ", ", "&a ", "*a", "null", "1e400", "-", '"', "${A}", "9" * 400]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers())
def test_no_mutation_raises_anything_else(tmp_path: Path, good: str, seed: int) -> None:
    chance = random.Random(seed)
    text = list(good)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(text))
        text[at : at + chance.randint(0, 8)] = chance.choice([*PIECES, chance.choice(string.printable)])
    (tmp_path / "target").mkdir(exist_ok=True)
    path = tmp_path / "mutant.yaml"
    path.write_text("".join(text), newline="")
    read_experiment(path, environ={})


def test_a_claim_about_a_history(read: Any, good: str) -> None:
    claim = "{id: fits, consistency: linearizable, model: register, of: [resolve, peek], at: minority, during: slow-db}"
    loaded, problems = read(good, [f"claims=[{claim}]", "expect={}"])
    assert problems == []
    (found,) = loaded.experiment.claims
    assert found.condition is None and found.invariant is None
    assert found.consistency == Consistency(
        model="register", level="linearizable", classes=("resolve", "peek"), side="minority"
    )
    assert (found.window.kind, found.window.of) == ("during", "slow-db")


@pytest.mark.parametrize(("model", "level"), [("register", "linearizable"), ("unique-ids", "")])
def test_without_a_level_it_is_the_strongest_that_the_model_judges(
    read: Any, good: str, model: str, level: str
) -> None:
    loaded, problems = read(good, [f"claims=[{{id: fits, model: {model}}}]", "expect={}"])
    assert problems == []
    (found,) = loaded.experiment.claims
    assert found.consistency == Consistency(model=model, level=level)
    assert found.window.kind == "whole"
