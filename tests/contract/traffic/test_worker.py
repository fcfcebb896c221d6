"""The worker as a process against a real server: everything due is sent, and what is on record survives anything."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chaoskit.history.frame import History
from chaoskit.history.operation import NONE, ErrorCode, Outcome
from chaoskit.history.storage import load_history
from chaoskit.spec.model import Arrivals
from chaoskit.stack.topology import ClassSpec
from chaoskit.traffic.arrivals import WARM_UP, due_times
from chaoskit.traffic.config import WorkerConfig
from chaoskit.traffic.counters import Counters
from chaoskit.traffic.snapshot import Control, State, between

HERE = Path(__file__).parent
CLASSES = (ClassSpec(name="create", kind="write"), ClassSpec(name="resolve", kind="read"))
PATIENCE = 60.0  # seconds for things that take milliseconds on an idle machine


class Run:
    """One worker process and its files."""

    def __init__(self, folder: Path, port: int, command: tuple[str, ...], **changes: Any) -> None:
        self.cell = folder
        number = changes.get("worker", 0)
        options = {"preexec_fn": changes.pop("preexec", None)}
        self.counters = Counters.create(folder / f"counters-w{number}", ["create", "resolve"])
        self.counters.path.chmod(0o666)  # the worker may be somebody else
        self.config = WorkerConfig(
            **{
                "seed": 7,
                "host": "localhost",
                "port": port,
                "timeout": 1.0,
                "arrivals": Arrivals(shape="constant", rate=100),
                "mix": {"create": 0.3, "resolve": 0.7},
                "classes": CLASSES,
                "warm_up": 0.5,
                "duration": 1.5,
                "workload": str(HERE / "shop_workload.py"),
                "key_prefix": "t",
                "spool": str(folder / "spool"),
                "counters": str(folder / f"counters-w{number}"),
                "lag": str(folder / "lag.jsonl"),
                "node": "api",
                **changes,
            }
        )
        path = folder / f"w{number}-config.json"
        path.write_text(self.config.model_dump_json())
        self.process = subprocess.Popen(
            [*command, "-m", "chaoskit.traffic.worker", str(path)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=HERE.parents[2],
            **options,
        )

    def until(self, state: State) -> None:
        self.wait(lambda: self.counters.read().state >= state)
        assert self.counters.read().state is state, self.counters.read().failure

    def wait(self, met: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not met() and self.process.poll() is None:
            assert time.monotonic() < end, self.counters.read()
            time.sleep(0.01)

    def start(self) -> int:
        self.until(State.READY)
        start = time.monotonic_ns() + 100_000_000
        self.counters.start_at(start)
        return start

    def ended(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said

    def history(self) -> History:
        history = load_history(self.cell)
        assert history.damaged == ()
        return history


@pytest.fixture
def shop() -> Iterator[Callable[[int], tuple[int, subprocess.Popen[str]]]]:
    started: list[subprocess.Popen[str]] = []

    def start(failing: int = 0, delay: float = 0.0) -> tuple[int, subprocess.Popen[str]]:
        command = [sys.executable, str(HERE / "shop_server.py"), str(failing), str(delay)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return int(process.stdout.readline()), process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    started: list[Run] = []

    def start(port: int, command: tuple[str, ...] = (sys.executable,), folder: Path = tmp_path, **changes: Any) -> Run:
        started.append(Run(folder, port, command, **changes))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
        one.counters.close()


def planned(config: WorkerConfig, start_ns: int) -> list[int]:
    share = {"seed": config.seed, "worker": config.worker, "workers": config.workers}
    warm = due_times(config.arrivals, config.warm_up, phase=WARM_UP, **share)
    load = due_times(config.arrivals, config.duration, **share)
    return [*(start_ns + warm).tolist(), *(start_ns + round(config.warm_up * 1e9) + load).tolist()]


def test_the_whole_sequence(shop: Any, run: Any) -> None:
    worker = run(shop()[0])
    start = worker.start()
    worker.until(State.LOADING)
    early = worker.counters.read()
    worker.until(State.LOAD_DONE)
    span = between(early, worker.counters.read())
    worker.counters.tell(Control.FINAL)
    assert worker.ended() == (0, "")
    end = worker.counters.read()
    assert (end.state, end.failure, end.workload_errors) == (State.DONE, "", 0)
    assert end.final_total == end.final_done > 0

    history = worker.history()
    rows = history.rows
    load = rows[rows["phase"] < 2]
    assert load["t_due"].tolist() == planned(worker.config, start), "all that is due is on record, when it was due"
    assert (load["t_sent"] >= load["t_due"]).all()
    assert (rows["outcome"] == Outcome.OK).all()
    assert history.origin_ns == start + 500_000_000
    assert ((load["t_due"] < history.origin_ns) == (load["phase"] == 0)).all()
    assert (history.nodes, history.classes) == (("client", "api"), ("create", "resolve"))

    creates = rows[rows["cls"] == 0]
    final = rows[rows["phase"] == 2]
    assert sorted(final["key"].tolist()) == sorted(creates["key"].tolist())
    written = dict(zip(creates["key"].tolist(), creates["value_id"].tolist(), strict=True))
    assert all(written[row["key"]] == row["result_id"] for row in final)
    stamps = [history.text(number) for number in creates["value_id"]]
    assert len(set(stamps)) == len(stamps)

    assert (end.count("due"), end.count("yes"), end.count("unsent")) == (len(rows), len(rows), 0)
    assert span.count("due") == pytest.approx(len(load), abs=60)
    assert span.share("yes") == 1.0
    assert span.quantile(0.5, "resolve") is not None
    lags = [json.loads(line) for line in (worker.cell / "lag.jsonl").read_text().splitlines()]
    assert len(lags) >= 5
    assert all(set(line) == {"t", "lag_ns", "cpu", "worker"} and line["lag_ns"] >= 0 for line in lags)
    assert sorted(path.name for path in (worker.cell / "spool").iterdir()) == ["w0.json", "w0.rows", "w0.values"]


def test_the_loop_stays_open_while_the_server_stands_still(shop: Any, run: Any) -> None:
    port, server = shop()
    worker = run(port, duration=3.0, timeout=0.8)
    start = worker.start()
    worker.wait(lambda: worker.counters.read().count("yes") > 60)
    server.send_signal(signal.SIGSTOP)
    worker.wait(lambda: worker.counters.read().count("silent") > 60)
    server.send_signal(signal.SIGCONT)
    worker.until(State.LOAD_DONE)
    worker.counters.tell(Control.QUIT)
    assert worker.ended()[0] == 0
    history = worker.history()
    rows = history.rows
    assert rows["t_due"].tolist() == planned(worker.config, start)
    assert (rows["t_sent"] != NONE).all(), "the bound is wide enough for a standing server"
    silent = rows[np.isin(rows["error"], [ErrorCode.TIMEOUT, ErrorCode.CONNECT_TIMEOUT])]
    assert len(silent) > 60
    assert (silent["t_end"] - silent["t_sent"] >= 800_000_000).all()
    # Many went out before the first of them was given up: nobody waited for an answer.
    assert (silent["t_sent"] < silent["t_end"][0]).sum() > 40
    writes = silent[(silent["cls"] == 0) & (silent["error"] == ErrorCode.TIMEOUT)]
    assert (writes["outcome"] == Outcome.INFO).all()
    assert (silent[silent["cls"] == 1]["outcome"] == Outcome.FAIL).all()
    assert (rows["outcome"][-5:] == Outcome.OK).all()


def test_a_worker_that_stood_still_sends_what_is_due_and_blames_nobody(shop: Any, run: Any) -> None:
    worker = run(shop(0, 0.3)[0], timeout=3.0, duration=6.0, warm_up=0.0)
    start = worker.start()
    worker.wait(lambda: worker.counters.read().count("yes") > 20)
    worker.process.send_signal(signal.SIGSTOP)
    time.sleep(4.0)  # longer than the timeout of what is in flight
    worker.process.send_signal(signal.SIGCONT)
    worker.until(State.LOAD_DONE)
    seen = worker.counters.read()
    worker.counters.tell(Control.QUIT)
    worker.ended()
    rows = worker.history().rows
    assert rows["t_due"].tolist() == planned(worker.config, start)
    assert not np.isin(rows["error"], [ErrorCode.TIMEOUT, ErrorCode.CONNECT_TIMEOUT]).any()
    assert seen.count("late_max_ns") > 3_000_000_000
    lags = [json.loads(line)["lag_ns"] for line in (worker.cell / "lag.jsonl").read_text().splitlines()]
    assert max(lags) > 3_000_000_000, "the harness says of itself that it was late"


def test_kill_9_in_the_middle_of_the_load_loses_nothing(shop: Any, run: Any) -> None:
    port, server = shop()
    worker = run(port, duration=20.0, timeout=10.0)
    worker.start()
    worker.wait(lambda: worker.counters.read().count("yes") > 60)
    server.send_signal(signal.SIGSTOP)  # so that some are in flight
    worker.wait(lambda: worker.counters.read().count("in_flight") > 20)
    told = worker.counters.read()
    worker.process.kill()
    assert worker.ended()[0] == -signal.SIGKILL
    rows = worker.history().rows
    assert len(rows) >= told.count("due")
    assert (rows["outcome"] == Outcome.OK).sum() >= told.count("ok")
    still = rows[rows["outcome"] == Outcome.OPEN]
    assert len(still) >= told.count("in_flight")
    assert (still["t_sent"] > 0).all()
    assert (still["t_end"] == NONE).all()
    assert worker.counters.read().count("due") >= told.count("due"), "the counters of the dead can still be read"


def test_failed_final_reads_are_repeated_as_operations_of_their_own(shop: Any, run: Any) -> None:
    worker = run(shop(2)[0], mix={"create": 1.0}, arrivals=Arrivals(shape="constant", rate=20), final_parallel=4)
    worker.start()
    worker.until(State.LOAD_DONE)
    worker.counters.tell(Control.FINAL)
    assert worker.ended()[0] == 0
    history = worker.history()
    final = history.rows[history.rows["phase"] == 2]
    keys = set(final["key"].tolist())
    for key in keys:
        reads = final[final["key"] == key]
        assert reads["attempt"].tolist() == [0, 1, 2]
        assert reads["outcome"].tolist() == [Outcome.FAIL, Outcome.FAIL, Outcome.OK]
        assert reads["parent"].tolist() == [NONE, reads["index"][0], reads["index"][1]]
    assert len(keys) == (history.rows["cls"] == 0).sum()


def test_final_reads_end_at_their_deadline_and_say_what_was_not_read(shop: Any, run: Any) -> None:
    port, server = shop()
    worker = run(port, mix={"create": 1.0}, timeout=0.4, final_deadline=0.6, final_parallel=2)
    worker.start()
    worker.until(State.LOAD_DONE)
    server.send_signal(signal.SIGSTOP)
    worker.counters.tell(Control.FINAL)
    assert worker.ended()[0] == 0
    history = worker.history()
    final = history.rows[history.rows["phase"] == 2]
    created = history.rows[(history.rows["cls"] == 0) & (history.rows["outcome"] == Outcome.OK)]
    assert set(created["key"].tolist()) == set(final["key"].tolist()), "every key has a row, read or not"
    assert (final["error"] == ErrorCode.UNSENT).sum() > 10
    assert worker.counters.read().final_done == worker.counters.read().final_total


def test_stop_ends_the_load_and_quit_the_process(shop: Any, run: Any) -> None:
    worker = run(shop()[0], duration=1000.0)
    worker.start()
    worker.wait(lambda: worker.counters.read().count("yes") > 20)
    worker.counters.tell(Control.STOP)
    worker.until(State.LOAD_DONE)
    assert worker.counters.read().count("in_flight") == 0
    worker.counters.tell(Control.QUIT)
    assert worker.ended() == (0, "")
    assert worker.counters.read().state is State.DONE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_on_record(shop: Any, run: Any, number: signal.Signals) -> None:
    port, server = shop()
    worker = run(port, duration=100.0, timeout=20.0)
    worker.start()
    worker.wait(lambda: worker.counters.read().count("yes") > 20)
    server.send_signal(signal.SIGSTOP)
    worker.wait(lambda: worker.counters.read().count("in_flight") > 5)
    worker.process.send_signal(number)
    assert worker.ended() == (128 + number, "")
    end = worker.counters.read()
    assert (end.state, end.failure) == (State.FAILED, f"stopped by {number.name}")
    rows = worker.history().rows
    assert len(rows) == end.count("due")
    assert (rows["outcome"] == Outcome.OPEN).sum() == end.count("in_flight")
    assert (worker.cell / "spool" / "w0.rows").stat().st_size == len(rows) * rows.dtype.itemsize


def test_two_workers_share_the_rate_and_become_one_history(shop: Any, run: Any) -> None:
    port, _ = shop()
    even = Arrivals(shape="constant", rate=100, random=False)
    workers = [run(port, worker=number, workers=2, arrivals=even, warm_up=0.0) for number in range(2)]
    for worker in workers:
        worker.until(State.READY)
    start = time.monotonic_ns() + 100_000_000
    for worker in workers:
        worker.counters.start_at(start)
    for worker in workers:
        worker.until(State.LOAD_DONE)
        worker.counters.tell(Control.FINAL)
        assert worker.ended()[0] == 0
    rows = workers[0].history().rows
    load = rows[rows["phase"] == 1]
    assert np.diff(load["t_due"]).tolist() == [10_000_000] * 149
    assert set(load[load["worker"] == 0]["process"].tolist()).isdisjoint(load[load["worker"] == 1]["process"].tolist())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_like_that\n", "ModuleNotFoundError: No module named 'nothing_like_that'"),
        ("def workload(): return 5\n", "made a int without perform and final()"),
    ],
)
def test_a_bad_workload_file_is_told_and_is_no_hang(run: Any, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.py").write_text(text)
    worker = run(9, workload=str(tmp_path / "bad.py"))
    code, stderr = worker.ended()
    end = worker.counters.read()
    assert (code, end.state) == (4, State.FAILED)
    assert said in end.failure
    assert said in stderr
    assert "Traceback" not in stderr


def test_a_workload_that_raises_goes_on_and_is_told(shop: Any, run: Any, tmp_path: Path) -> None:
    text = (HERE / "shop_workload.py").read_text()
    (tmp_path / "half.py").write_text(text.replace("        else:\n", "        else:\n            1 / 0\n", 1))
    worker = run(shop()[0], workload=str(tmp_path / "half.py"))
    worker.start()
    worker.until(State.LOAD_DONE)
    seen = worker.counters.read()
    assert seen.workload_errors == seen.count("due", "resolve") == seen.count("none")
    assert "ZeroDivisionError" in seen.failure
    assert "half.py" in seen.failure
    worker.counters.tell(Control.QUIT)
    worker.ended()


def test_final_that_raises_is_told(shop: Any, run: Any, tmp_path: Path) -> None:
    text = (HERE / "shop_workload.py").read_text()
    (tmp_path / "w.py").write_text(text.replace('return [("resolve", code)', 'return [("misspelt", code)'))
    worker = run(shop()[0], workload=str(tmp_path / "w.py"))
    worker.start()
    worker.until(State.LOAD_DONE)
    worker.counters.tell(Control.FINAL)
    code, _ = worker.ended()
    assert (code, worker.counters.read().state) == (4, State.FAILED)
    assert "final() gave ('misspelt'" in worker.counters.read().failure
    assert len(worker.history()) > 50


def test_an_entry_nobody_knows(run: Any) -> None:
    worker = run(9, host="no-such-name.invalid")
    code, stderr = worker.ended()
    assert code == 4
    assert "no-such-name.invalid:9 cannot be resolved" in stderr
    assert worker.counters.read().state is State.FAILED


def test_a_full_disk_stops_the_load_and_keeps_what_was_measured(shop: Any, run: Any, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, 6_000_000))

    text = (HERE / "shop_workload.py").read_text()
    (tmp_path / "large.py").write_text(text.replace("{intent.stamp}", "{intent.stamp}/{'x' * 50_000}"))
    worker = run(shop()[0], duration=60.0, preexec=limit, workload=str(tmp_path / "large.py"))
    worker.start()
    code, stderr = worker.ended()
    assert (code, worker.counters.read().state) == (4, State.FAILED)
    assert "what was measured is kept" in stderr
    rows = worker.history().rows
    assert (rows["outcome"] == Outcome.OK).sum() > 20


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [("{", 2, "is not a worker's configuration"), (None, 4, "cannot read the worker's configuration")],
)
def test_a_bad_configuration(tmp_path: Path, content: str | None, code: int, said: str) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "chaoskit.traffic.worker", str(path)], capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.needs("ordinary-user")
def test_as_an_ordinary_user(shop: Any, run: Any, ordinary: tuple[str, ...]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="chaoskit-worker-"))
    try:
        folder.chmod(0o777)
        (folder / "shop_workload.py").write_text((HERE / "shop_workload.py").read_text())
        worker = run(shop()[0], ordinary, folder, workload=str(folder / "shop_workload.py"))
        worker.start()
        worker.until(State.LOAD_DONE)
        worker.counters.tell(Control.FINAL)
        assert worker.ended() == (0, "")
        assert (worker.history().rows["outcome"] == Outcome.OK).all()
    finally:
        shutil.rmtree(folder)
