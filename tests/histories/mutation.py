"""Mutants: the checker with one rule removed or turned, which the comparison with brute force must notice.

`python -m histories.mutation MODULE:SUBJECT FILE OLD NEW COUNT SEED` exits 1 when the mutant is killed (found out), 0
when it survives, 2 when the mutant could not be made (the text is not there exactly once).
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Mutant:
    """`old` (exactly once in `file`, relative to the project) becomes `new`; `rule` says which rule that breaks."""

    subject: str  # "histories.register:REGISTER"
    rule: str
    file: str
    old: str
    new: str
    count: int = 3000


def killed(mutant: Mutant, seed: int = 1) -> bool:
    """Whether the comparison finds the mutant out. Raises where the mutant cannot be made."""
    argv = [sys.executable, "-m", "histories.mutation", mutant.subject, mutant.file, mutant.old, mutant.new]
    argv += [str(mutant.count), str(seed)]
    done = subprocess.run(argv, cwd=TESTS, capture_output=True, text=True, timeout=900)
    if done.returncode not in (0, 1):
        raise AssertionError(f"the mutant “{mutant.rule}” could not be tried:\n{done.stderr[-2000:]}")
    return done.returncode == 1


class _Mutating(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, path: Path, source: str) -> None:
        self.module, self.path, self.source = module, path, source

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != self.module:
            return None
        source = self.source

        class Loader(importlib.machinery.SourceFileLoader):
            def get_code(self, fullname: str) -> Any:
                return compile(source, self.path, "exec", dont_inherit=True)

        return importlib.util.spec_from_file_location(name, self.path, loader=Loader(name, str(self.path)))


def main(subject: str, file: str, old: str, new: str, count: str, seed: str) -> int:
    source = (ROOT / file).read_text()
    if source.count(old) != 1:
        print(f"{file} has {source.count(old)} times: {old}", file=sys.stderr)
        return 2
    module = ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__")
    sys.meta_path.insert(0, _Mutating(module, ROOT / file, source.replace(old, new)))
    from histories.comparing import compare

    where, _, name = subject.partition(":")
    try:
        found = getattr(importlib.import_module(where), name)
        if module not in sys.modules:
            found.model()
        assert module in sys.modules, f"{module} is not used by {subject}"
    except Exception as error:
        print(f"{error!r}", file=sys.stderr)
        return 2
    try:
        compare(found, int(count), int(seed))
    except Exception as error:  # a wrong verdict, or a crash: either way it shows
        print(str(error)[:500])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
