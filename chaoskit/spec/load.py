"""YAML file -> Experiment, with all mistakes at once and a place for everything that was written.

    parse (nodes) ─▶ --set (overrides) ─▶ read by the tables (surface) ─▶ assemble with defaults ─▶ cross-check ids

A file with mistakes still yields an experiment, of what could be read: checks against the target then find the rest in
the same pass. `load_experiment` is for those who want it whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chaoskit.errors import Problem, SpecError
from chaoskit.spec import overrides as setting
from chaoskit.spec.claim_shapes import WINDOWS
from chaoskit.spec.claims import parse
from chaoskit.spec.model import Arrivals, Claim, Experiment, Injection, Traffic, Variant, Window
from chaoskit.spec.nodes import Node, Place, emit, parse_file
from chaoskit.spec.shapes import BAD, NAME, good
from chaoskit.spec.suggest import did_you_mean
from chaoskit.spec.surface import EXPERIMENT, default_id

__all__ = ["DEFAULT_STEADY_STATE", "Loaded", "load_experiment", "read_experiment"]

DEFAULT_STEADY_STATE = "yield >= 99%"
DEFAULT_VARIANT = "default"
_DEFAULT_RATE = 50.0
_LEAST_DURATION = 10.0
_LEAST_TAIL = 5.0
_TAIL_AFTER_LIMIT = 3.0  # recovery is seen in windows: it takes a few seconds more to see than to happen


class Loaded(NamedTuple):
    """An experiment and where everything in it was written.

    Attributes:
        name: how the file is called in problems.
        text: the file as it is. resolved: YAML with variables, overrides and the target's path filled in.
        root: the tree; `ids` finds entries of `timeline` and `claims` in it by (list, id).
    """

    experiment: Experiment
    name: str
    text: str
    resolved: str
    root: Node
    ids: Mapping[tuple[str, str], Node]

    def place(self, *path: str | int) -> Place:
        """Where the value at a path was written, or the nearest value above it that was."""
        return self.root.walk(path).place

    def entry(self, section: str, identity: str) -> Node:
        """The entry of `timeline` or `claims` with that id; the whole file where it was not written."""
        return self.ids.get((section, identity), self.root)

    def given(self, *path: str | int) -> bool:
        """Whether the user wrote it (else it is a default)."""
        node = self.root
        for step in path:
            found = node.child(step)
            if found is None:
                return False
            node = found
        return True


def load_experiment(path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str]) -> Loaded:
    """The experiment in a file.

    Args:
        path: of the YAML file.
        overrides: `path=value` texts, as for `--set`.
        environ: for `${VAR}`.

    Raises:
        SpecError: all mistakes found, the user's to mend.
    """
    loaded, problems = read_experiment(path, overrides=overrides, environ=environ)
    if problems or loaded is None:
        raise SpecError(problems)
    return loaded


def read_experiment(
    path: Path, *, overrides: Sequence[str] = (), environ: Mapping[str, str]
) -> tuple[Loaded | None, list[Problem]]:
    """What could be read of an experiment, and everything that is wrong with it. None: not even a map."""
    name, problems = str(path), []  # type: tuple[str, list[Problem]]
    root, text = parse_file(path, name, environ, problems)
    if root is None:
        return None, problems
    for one in overrides:
        root = setting.override(root, one, problems)
    values = EXPERIMENT.read(root, "", problems)
    if values is BAD:
        return None, problems
    reader = _Assembly(path, root, values, problems)
    experiment = reader.experiment()
    return Loaded(experiment, name, text, _resolved(root, experiment.target, overrides), root, reader.ids), problems


def _resolved(root: Node, target: str, overrides: Sequence[str]) -> str:
    """The file as it was understood: it loads from anywhere, with no variable set, to the same experiment."""
    entries = [
        (key, Node("scalar", value.place, target, plain=False) if key.text == "target" else value)
        for key, value in root.entries
    ]
    head = "".join(f"# --set {one}\n" for one in (" ".join(one.split()) for one in overrides))
    return head + emit(Node("map", root.place, entries=entries))


class _Assembly:
    """Values of the tables -> frozen data. What is BAD is on record: its default stands in, or it is left out."""

    def __init__(self, path: Path, root: Node, values: Mapping[str, Any], problems: list[Problem]) -> None:
        self._path, self._root, self._values, self._problems = path, root, values, problems
        self.ids: dict[tuple[str, str], Node] = {}

    def get(self, key: str, default: Any) -> Any:
        """The value of a top-level key."""
        value = self._values.get(key, default)
        return value if good(value) else default

    def experiment(self) -> Experiment:
        variants = self._variants()
        traffic = self._traffic()
        timeline = self._timeline()
        windows = {key for section, key in self.ids if section == "timeline"}
        if traffic.arrivals.id is not None:
            self._taken(traffic.arrivals.id, windows)
            windows.add(traffic.arrivals.id)
        claims = self._claims(windows)
        return Experiment(
            file=str(self._path.absolute()),
            name=self.get("name", self._stem()),
            question=self.get("question", ""),
            target=self._target(),
            variants=variants,
            traffic=traffic,
            steady_state=self.get("steady_state", (parse(DEFAULT_STEADY_STATE),)),
            abort=self.get("abort", ()),
            timeline=timeline,
            claims=claims,
            expect=self._expect([variant.name for variant in variants]),
            trials=self.get("trials", 1),
            seed=self.get("seed", 1),
            fresh=self.get("fresh", "variant"),
            duration=self.get("duration", _duration(traffic, timeline, claims)),
            warm_up=self.get("warm_up", 2.0),
            settle=self.get("settle", 2.0),
        )

    def _stem(self) -> str:
        """The file's name, if it can name a folder."""
        import re

        stem = self._path.name.removesuffix(".yaml").removesuffix(".yml")
        if "name" not in self._values and not re.fullmatch(NAME.matching or "", stem):
            what = f"the file's name {stem!r} cannot name its runs"
            self._problems.append(self._root.place.problem(what, NAME.noun, "add name: …"))
        return stem

    def _target(self) -> str:
        """Absolute path of the target; whether it is one is for the target's own reader."""
        target, folder = self.get("target", ""), self._path.absolute().parent
        if not target:
            return ""
        try:
            found = (folder / Path(target).expanduser()).resolve()
            reason = "" if found.exists() else f"looked at {found}"
        except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown ~user, a zero byte
            found, reason = folder, str(error)
        if reason:
            what = f"target {target!r} does not exist"
            hint = f"paths are relative to {folder}"
            self._problems.append(self._root.walk(("target",)).place.problem(what, reason, hint))
        return str(found)

    def _variants(self) -> tuple[Variant, ...]:
        found = self.get("variants", {DEFAULT_VARIANT: {}})
        made = []
        for name, value in found.items():
            env = value.get("env", {}) if good(value) else {}
            services = env if good(env) else {}
            made.append(
                Variant(
                    name=name,
                    env={
                        service: {key: text for key, text in variables.items() if good(text)}
                        for service, variables in services.items()
                        if good(variables)
                    },
                )
            )
        return tuple(made)

    def _traffic(self) -> Traffic:
        values = self.get("traffic", {})

        def get(key: str, default: Any) -> Any:
            return default if not good(values.get(key, default)) else values.get(key, default)

        mix = {name: weight for name, weight in get("mix", {}).items() if good(weight)}
        total = sum(mix.values())
        if "mix" in values and good(values["mix"]) and len(mix) == len(values["mix"]) and total <= 0:
            place = self._root.walk(("traffic", "mix")).place
            self._problems.append(place.problem("traffic.mix sends nothing", "all weights are 0"))
        return Traffic(
            workload=get("workload", ""),
            arrivals=self._arrivals(get("arrivals", ("poisson", _DEFAULT_RATE))),
            timeout=get("timeout", 2.0),
            mix={name: weight / total for name, weight in mix.items() if weight > 0} if total > 0 else {},
            workers=get("workers", 1),
        )

    def _arrivals(self, found: tuple[str, Any]) -> Arrivals:
        kind, value = found
        if kind in ("poisson", "constant"):
            return Arrivals(shape="constant", rate=value, random=kind == "poisson")
        if not good(*value.values()):
            return Arrivals(shape="constant", rate=_DEFAULT_RATE)
        low, high, over = ("from", "to", "over") if kind == "ramp" else ("base", "peak", "for")
        return Arrivals(
            shape="ramp" if kind == "ramp" else "spike",
            rate=value[low],
            peak=value[high],
            at=value["at"],
            over=value[over],
            random=value.get("random", True),
            id=value.get("id", kind),
        )

    def _entries(self, section: str) -> Iterable[tuple[Node, dict[str, Any]]]:
        """Entries of a list with their values; those that are no map are on record."""
        node = self._root.get(section)
        if node is None or node.kind != "list":
            return
        values = self._values.get(section, ())
        read = values if good(values) else [None] * len(node.items)
        for item, found in zip(node.items, read, strict=True):
            if item.kind == "map":
                yield item, found if isinstance(found, dict) else {}

    def _taken(self, identity: str, ids: Iterable[str]) -> None:
        if identity in ids:
            node = self._root.walk(("traffic", "arrivals"))
            what = f"the id {identity!r} of the arrivals is that of a fault"
            self._problems.append(node.place.problem(what, "claims could mean either", "give one of them another id"))

    def _known(self, section: str, identity: str, node: Node) -> bool:
        """Take an id, once."""
        first = self.ids.get((section, identity))
        if first is None:
            self.ids[section, identity] = node
            return True
        place = (node.get("id") or node).place
        what = f"the id {identity!r} is given twice"
        self._problems.append(place.problem(what, f"first in line {first.place.line}", "give each its own"))
        return False

    def _timeline(self) -> tuple[Injection, ...]:
        made = []
        entries = list(self._entries("timeline"))
        written = {str(found.get("id")) for _, found in entries if good(found.get("id", BAD))}
        for item, found in entries:
            identity = found.get("id", BAD)
            if "id" not in found and isinstance(found.get("fault"), str):
                identity = default_id(found["fault"], written)
                written.add(identity)
            if not good(identity) or not self._known("timeline", identity, item):
                continue
            if "parameters" not in found or not good(*found.values()):
                continue
            until = found["at"] + found["for"] if "for" in found else None
            made.append(
                Injection(
                    id=identity,
                    fault=found["fault"],
                    on=found.get("on", ()),
                    at=found["at"],
                    until=until,
                    parameters=found["parameters"],
                )
            )
        return tuple(made)

    def _claims(self, windows: Iterable[str]) -> tuple[Claim, ...]:
        made = []
        known = list(windows)
        for item, found in self._entries("claims"):
            identity = found.get("id", BAD)
            fresh = good(identity) and self._known("claims", identity, item)
            window = Window(kind="whole")
            for kind in WINDOWS:
                of = found.get(kind, BAD)
                if not good(of):
                    continue
                window = Window(kind=kind, of=of)
                if of not in known:
                    place = (item.get(kind) or item).place
                    hint = did_you_mean(of, known) if known else "the timeline has no faults and the arrivals no spike"
                    what = f"{kind}: {of!r} is no fault, spike or ramp of this file"
                    self._problems.append(place.problem(what, "", hint))
            said = {"condition": "that", "invariant": "invariant", "consistency": "consistency"}
            shall = {field: found[key] for field, key in said.items() if key in found}
            if fresh and good(*found.values()) and len(shall) == 1:
                made.append(Claim(id=identity, **shall, window=window))
        return tuple(made)

    def _expect(self, variants: Sequence[str]) -> dict[str, Any] | None:
        expect = self.get("expect", None)
        if expect is None:
            return None
        claims = [identity for section, identity in self.ids if section == "claims"]
        for key, value in self._root.walk(("expect",)).entries:
            if key.text not in variants:
                what = f"expect names the variant {key.text!r}, which is none"
                self._problems.append(key.place.problem(what, "", did_you_mean(key.text, variants)))
            for claim, _ in value.entries:
                if claim.text not in claims:
                    what = f"expect names the claim {claim.text!r}, which is none"
                    self._problems.append(claim.place.problem(what, "", did_you_mean(claim.text, claims)))
        return {
            variant: {claim: verdict for claim, verdict in found.items() if good(verdict)}
            for variant, found in expect.items()
            if good(found)
        }


def _duration(traffic: Traffic, timeline: Sequence[Injection], claims: Sequence[Claim]) -> float:
    """Load from t=0: all that happens, and a tail in which the slowest claimed recovery can be seen."""
    ends = [injection.at if injection.until is None else injection.until for injection in timeline]
    arrivals = traffic.arrivals
    if arrivals.at is not None and arrivals.over is not None:
        ends.append(arrivals.at + arrivals.over)
    limits = [
        claim.condition.value + _TAIL_AFTER_LIMIT + traffic.timeout
        for claim in claims
        if claim.condition is not None and claim.condition.quantity == "recovery"
    ]
    return max([_LEAST_DURATION, *ends]) + max([_LEAST_TAIL, *limits]) if ends else _LEAST_DURATION
