"""Kills members of a run, again and again, and counts what is left: `python tests/drill --count 1000`.

Prints what failed with the command that repeats it. Exit code 0: nothing was left. 1: something was. 3: nothing was,
but the machine was too busy for some trials to say so in time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from choices import draw  # noqa: E402
from trial import STARVED, Driver, Result  # noqa: E402

from chaoskit import linux  # noqa: E402
from chaoskit.stack.compose import load_target  # noqa: E402


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/drill", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many kills")
    parser.add_argument("--seed", type=int, default=None, help="repeats the choices of an earlier drill")
    parser.add_argument("--only", type=int, default=None, metavar="N", help="trial N of the seed alone")
    parser.add_argument("--server", choices=("embedded", "real"), default="embedded", help="which Toxiproxy")
    parser.add_argument("--user", choices=("me", "root", "nobody"), default="me")
    parser.add_argument("--namespaces", choices=("on", "off"), default="on", help="off: as where there are none")
    parser.add_argument("--jobs", type=int, default=4, help="how many stacks at once")
    return parser.parse_args()


def as_nobody(arguments: list[str]) -> int:
    """This very drill as an ordinary user, with a Python that such a one may execute."""
    site = next(path for path in sys.path if path.endswith("site-packages"))
    root = str(HERE.parents[1])
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"PYTHONPATH={site}:{root}"]
        command = [*prefix, "PYTHONDONTWRITEBYTECODE=1", "HOME=/nonexistent", python]
        if subprocess.run([*command, "-c", "import chaoskit, numpy"], capture_output=True, cwd="/").returncode == 0:
            return subprocess.run([*command, str(HERE), *arguments], cwd="/").returncode
    print("no Python here that an ordinary user may execute", file=sys.stderr)
    return 4


def job(work: Path, numbers: list[int], options: argparse.Namespace, results: Any) -> None:
    """Some of the trials, one after the other."""
    work.mkdir()
    driver = Driver(work, load_target(work.parent / "target", os.environ), options.server)
    try:
        for number in numbers:
            results.put(driver.run(draw(options.seed, number, namespaces=options.namespaces == "on")))
    finally:
        driver.close()
        results.put(None)


def main() -> int:
    options = parsed()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    if options.user == "nobody" and os.geteuid() == 0:
        again = [text for text in sys.argv[1:] if text not in ("--user", "nobody", "--user=nobody")]
        return as_nobody([*again, "--seed", str(options.seed)])
    if options.user == "root" and os.geteuid() != 0:
        print("only root can be root", file=sys.stderr)
        return 4
    if options.server == "real":
        from chaoskit.errors import EnvironmentFault
        from chaoskit.runtimes.real_toxiproxy import find_server

        try:
            os.environ["TOXIPROXY_SERVER"] = str(find_server())
        except EnvironmentFault as error:
            print(error, file=sys.stderr)
            return 4
    if options.namespaces == "off":
        os.environ["CHAOSKIT_NAMESPACES"] = "off"
    elif not linux.probe().pids:
        print("there are no PID namespaces here: --namespaces off", file=sys.stderr)
        return 4
    linux.probe()  # once, for all engines that are forked
    # Not in a folder that is closed to others: as root, Valkey runs as somebody else.
    work = Path(tempfile.mkdtemp(prefix="chaoskit-drill-"))
    work.chmod(0o755)
    shutil.copytree(HERE / "target", work / "target")
    numbers = [options.only] if options.only is not None else list(range(options.count))
    jobs = min(options.jobs, len(numbers))
    who = "root" if os.geteuid() == 0 else f"uid {os.geteuid()}"
    print(f"{len(numbers)} kills as {who}, {options.server} Toxiproxy, namespaces {options.namespaces}, "
          f"{jobs} at once, seed {options.seed}", flush=True)  # fmt: skip
    began = time.monotonic()
    context = multiprocessing.get_context("fork")
    results: Any = context.SimpleQueue()
    workers = [
        context.Process(target=job, args=(work / f"job-{k}", numbers[k::jobs], options, results)) for k in range(jobs)
    ]
    for worker in workers:
        worker.start()
    found: list[Result] = []
    open_jobs = jobs
    while open_jobs:
        result = results.get()
        if result is None:
            open_jobs -= 1
            continue
        found.append(result)
        if result.left or result.late:
            slow = f"work takes {result.starved:.1f} times as long as it should"
            late = f"gone {result.late:.1f} s late ({slow}): {'; '.join(result.lingered)}"
            what = "; ".join(result.left) or late
            again = f"--seed {options.seed} --only {result.number} --server {options.server}"
            again += f" --namespaces {options.namespaces}"
            again += " --user nobody" if os.geteuid() == 65534 else ""
            print(f"{result.text}: {what}\n  repeat: python tests/drill {again}", flush=True)
    for worker in workers:
        worker.join()
    return summed_up(found, numbers, work, time.monotonic() - began, options)


def summed_up(found: list[Result], numbers: list[int], work: Path, took: float, options: argparse.Namespace) -> int:
    left = [result for result in found if result.left or (result.late and result.starved < STARVED)]
    late = [result for result in found if result.late and result not in left]
    points = Counter(
        draw(options.seed, result.number, namespaces=options.namespaces == "on").point
        for result in found
        if result.reached
    )
    times = sorted(result.took for result in found)
    print(f"{len(found)} of {len(numbers)} kills in {took:.0f} s; something left after {len(left)}, "
          f"too late on a busy machine {len(late)}")  # fmt: skip
    print("kills by point: " + ", ".join(f"{point or 'a random instant'} {n}" for point, n in points.most_common()))
    if times:
        print(f"clean after: median {times[len(times) // 2]:.2f} s, longest {times[-1]:.2f} s")
    if left or len(found) < len(numbers):
        print(f"what was left is kept in {work}")
        return 1
    shutil.rmtree(work, ignore_errors=True)
    return 3 if late else 0


if __name__ == "__main__":
    sys.exit(main())
