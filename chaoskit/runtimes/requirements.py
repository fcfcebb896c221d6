"""Whether this environment satisfies a requirements.txt. Reads metadata only: nothing is imported or installed."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

__all__ = ["missing", "read_lines"]


def read_lines(file: Path) -> list[str]:
    """Lines that say something, those of files named with `-r` included, comments and continuations resolved.

    Raises:
        OSError: a file cannot be read. ValueError: files name each other in a circle, or are not text.
    """
    return _read(file.resolve(), ())


def missing(lines: list[str]) -> str | None:
    """The first line that this environment does not satisfy, with the reason; None when it satisfies all.

    A line that only pip understands (an option, a URL, a path) counts as not satisfied.
    """
    for line in lines:
        try:
            requirement = Requirement(re.split(r"\s--hash=", line)[0])
        except InvalidRequirement:
            return f"{line} (only pip understands it)"
        why = _unsatisfied(requirement, frozenset({""}), set())
        if why is not None:
            return f"{line} ({why})"
    return None


def _read(file: Path, above: tuple[Path, ...]) -> list[str]:
    if file in above:
        raise ValueError(f"{file} includes itself")
    found: list[str] = []
    for raw in file.read_text().replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        include = re.match(r"(?:-r|--requirement)[ =]\s*(.+)", line)
        if include:
            found += _read((file.parent / include[1].strip()).resolve(), (*above, file))
        elif line:
            found.append(line)
    return found


def _unsatisfied(requirement: Requirement, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> str | None:
    """Why a requirement, or what it needs in turn, is not met.

    Down to the leaves: an environment made for another patch release of Python may lack what only that one needs.
    """
    if requirement.marker is not None and not any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
        return None
    if requirement.url is not None:
        return "a URL: its version cannot be told"
    try:
        found: Distribution = distribution(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if not requirement.specifier.contains(found.version, prereleases=True):
        return f"{requirement.name} {found.version} is installed"
    asked = frozenset(requirement.extras) | {""}
    key = (canonicalize_name(requirement.name), asked)
    if key in seen:
        return None
    seen.add(key)
    for text in found.requires or ():
        why = _unsatisfied(Requirement(text), asked, seen)
        if why is not None:
            return why
    return None
