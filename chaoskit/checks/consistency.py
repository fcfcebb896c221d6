"""Claims about consistency: one model on the history of a cell, by the code of `chaoskit check`.

A history is judged as a whole, because an answer in a fault may show what was written before it. What a window, a class
or a side choose are answers: all writes are judged with just the reads that were chosen. Leaving out what only looks
makes no legal history illegal, so nobody is accused by it. What takes or writes stays, whatever its class is called,
and where a model asks what becomes of things in the end (`set-full`) nothing can be chosen.

What `check` calls held is inconclusive here where too little could have shown an anomaly: an experiment promises
something about the system, not about one file.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.checking import POWER_UP_TO, check, find_model
from chaoskit.checks.conditions import Evidence, window_span
from chaoskit.checks.context import nobody
from chaoskit.checks.levels import OBJECTS, TRANSACTIONS, implied
from chaoskit.checks.limits import MINIMUM_OPERATIONS, POWER_SECONDS
from chaoskit.checks.loss import Finals
from chaoskit.checks.model import Finding, Planted, StaleAnswers, Witness
from chaoskit.checks.power import power
from chaoskit.checks.result import Anomaly, Model, Options, Result
from chaoskit.checks.sides import by_time_and_side, standing
from chaoskit.checks.stale_answers import stale_answers
from chaoskit.checks.staleness import Staleness
from chaoskit.checks.witness import many, operations
from chaoskit.errors import ChaosKitError, CheckerError
from chaoskit.history.interchange.parquet import of_run
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.history.windows import Span, counted
from chaoskit.spec.claims import consistency_text
from chaoskit.spec.model import Claim, Consistency
from chaoskit.units import format_count

__all__ = ["Consistent", "judge_consistency"]

_REGISTERS = ("register", "cas-register")  # their values are overwritten, so that an answer can be stale
_WHOLE = ("set-full",)


@dataclass(frozen=True)
class Consistent:
    """What became of a claim. `accused`: positions in `history.rows` of operations that refute it."""

    finding: Finding
    accused: NDArray[np.int64]


def judge_consistency(
    claim: Claim, evidence: Evidence, classes: Mapping[str, str], sent: Collection[str], seed: int
) -> Consistent:
    """Held, refuted or inconclusive. Pure; whatever a checker gets wrong is inconclusive.

    Args:
        classes: operation class -> `write` or `read`.
        sent: the classes that the traffic consists of; others are in final reads at most.
        seed: of the places in which bugs are planted, for the power.

    Raises:
        ValueError: the claim is not about consistency (our bug).
    """
    asked, span = claim.consistency, evidence.span(claim.window)
    if asked is None:
        raise ValueError(f"claim {claim.id} is not about consistency")
    draft = Finding(
        claim=claim.id, verdict="inconclusive", expected=consistency_text(asked), observed="nothing was judged"
    )
    if span is None:
        why = f"there is no window “{claim.window.kind} {claim.window.of}”: its beginning was not observed"
        return _open(draft, why)
    if claim.window.kind != "whole":
        draft = draft.model_copy(update={"window": window_span(span, evidence.history.origin_ns)})
    if len(np.unique(evidence.history.rows["clock_domain"])) > 1:
        return _open(draft, "operations were timed by several clocks, so their order in time is not known")
    try:
        model = find_model(asked.model)
        chosen = _Chosen.of(claim, asked, evidence, classes, sent, model, span)
        return _judged(draft, chosen, model, Options(consistency=asked.level or None), seed)
    except ChaosKitError as error:
        return _open(draft, error.message)


def _open(draft: Finding, why: str) -> Consistent:
    return Consistent(draft.model_copy(update={"reasons": (why,)}), nobody())


@dataclass(frozen=True)
class _Chosen:
    """The operations that a claim is judged by.

    Attributes:
        place: position in `history.rows` of each.
        looks: mask of the answers that were chosen; where no class of reads is about the model, of all operations.
        doubts: why too little is known for “held”. notes: what was left out.
        numbers, split, stale: figures about all answers of the chosen classes, whenever and wherever they were given.
    """

    evidence: Evidence
    operations: Operations
    place: NDArray[np.int64]
    looks: NDArray[np.bool_]
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    split: Mapping[str, int] = field(default_factory=dict)
    stale: tuple[StaleAnswers, ...] = ()

    @classmethod
    def of(
        cls,
        claim: Claim,
        asked: Consistency,
        evidence: Evidence,
        classes: Mapping[str, str],
        sent: Collection[str],
        model: Model,
        span: Span,
    ) -> _Chosen:
        """All writes, and the reads of the window, the classes and the side."""
        history = evidence.history
        given = of_run(history, "")
        place = np.searchsorted(history.rows["index"], given.index)
        known = given.named(*(model.functions or given.functions))
        foreign = np.unique(given.key[~known & (given.key != NONE)])
        ours = known & ~np.isin(given.key, foreign)

        rows = history.rows[place]
        of_class = {name: np.equal(rows["cls"], history.class_id(name)) for name in classes}
        about_it = {name for name, own in of_class.items() if (own & known).any()}
        # Of a class that does other things only nothing is asked; one that did nothing at all is not forgotten.
        asked_of = asked.classes or [name for name, own in of_class.items() if name in about_it or not own.any()]
        readers = [name for name in asked_of if classes.get(name) == "read" and name in (asked.classes or about_it)]
        reads = _any([own for name, own in of_class.items() if classes[name] == "read"], len(rows))
        about = _any([of_class[name] for name in readers], len(rows)) if readers else np.ones(len(rows), dtype=np.bool_)
        reads &= _only_looks(given)
        looks = about.copy()
        if claim.window.kind != "whole":
            within = np.zeros(len(history.rows), dtype=np.bool_)
            within[counted(history.rows["t_due"], span)] = True
            looks &= within[place]
        if asked.side is not None:
            sources = [history.nodes.index(name) for name in evidence.standing(asked.side, claim.window)]
            looks &= np.isin(rows["source"], sources)

        kept = np.flatnonzero(ours & (~reads | looks))
        if model.name in _WHOLE and (reads & ours & ~looks).any():
            raise CheckerError(
                f"{model.name} asks what becomes of things in the end, which all reads together show: leave out the "
                "window, of and at"
            )
        chosen = cls(evidence, given.where(kept), place[kept], looks[kept])
        judged = [name for name in asked_of if not readers or classes.get(name) == "read"]
        doubts = [chosen._few(name) for name in judged if name in sent]
        doubts += [chosen._apart(claim)] if readers else []
        notes = [note for note in given.notes if note not in history.damaged]
        if len(foreign):
            notes.append(f"{many(len(foreign), 'key')} left out: operations that are no {model.name}'s touched")
        whole = np.flatnonzero(ours & (~reads | about))
        numbers, split, stale = _figures(evidence, given.where(whole), place[whole], model)
        return replace(
            chosen,
            doubts=tuple(filter(None, doubts)),
            notes=tuple(notes),
            numbers=numbers,
            split=split,
            stale=stale,
        )

    def _few(self, name: str) -> str:
        """Why too little is known of an operation class; "" where there is enough."""
        own = self.evidence.history.rows["cls"][self.place] == self.evidence.history.class_id(name)
        count = int(np.count_nonzero(own & self.looks & self.operations.ok))
        if count >= MINIMUM_OPERATIONS:
            return ""
        return f"only {many(count, 'answer')} of {name} to be judged: at least {MINIMUM_OPERATIONS} are needed"

    def _apart(self, claim: Claim) -> str:
        """In a partition only answers about what another side wrote can tell whether the sides agree."""
        history, given = self.evidence.history, self.operations
        sides = self.evidence.sides.get(claim.window.of or "", {})
        if claim.window.kind not in ("during", "steady") or len(sides) < 2:
            return ""
        side = standing(history, sides)[self.place]
        wrote = np.unique(np.stack([given.key, side])[:, given.ok & ~self.looks & (side != NONE)], axis=1)
        looked = self.looks & given.ok & (side != NONE)
        everybody = np.searchsorted(wrote[0], given.key[looked], "right") - np.searchsorted(wrote[0], given.key[looked])
        pairs, width = wrote[0] * (len(sides) + 1) + wrote[1], len(sides) + 1
        ourselves = np.isin(given.key[looked] * width + side[looked], pairs)
        shared = int(np.count_nonzero(everybody > ourselves))
        if shared >= MINIMUM_OPERATIONS:
            return ""
        return (
            f"only {many(shared, 'answer')} about a key that another side wrote: at least {MINIMUM_OPERATIONS} are "
            "needed to know whether the sides agree"
        )


def _judged(draft: Finding, chosen: _Chosen, model: Model, options: Options, seed: int) -> Consistent:
    """The model's verdict in the light of how much could have shown an anomaly."""
    history = chosen.evidence.history
    given = chosen.operations
    result = check(given, model, options, with_power=False).result
    found, allowed = _against(result)
    draft = draft.model_copy(
        update={
            "operations": result.operations,
            "exposed": result.exposed,
            "anomalies": {one.kind: one.count for one in found},
            "notes": (*chosen.notes, *allowed, *result.notes),
            "numbers": {name: n for name, n in {**result.numbers, **chosen.numbers}.items() if not np.isnan(n)},
            "split": chosen.split,
            "stale": chosen.stale,
        }
    )
    if result.verdict == "refuted":
        listed = ", ".join(f"{format_count(one.count)} {one.kind}" for one in found)
        draft = draft.model_copy(update={"observed": f"{listed} in {many(result.operations, 'operation')}"})
        if history.damaged:  # the row that explains an answer may be among what was lost
            return _open(draft, f"{listed}, but parts of the history are damaged ({history.damaged[0]})")
        worst = found[0]
        rows = chosen.place[list(worst.witness)].tolist()
        witness = Witness(kind=worst.kind, sentence=worst.sentence, operations=operations(history, rows))
        accused = chosen.place[np.unique(np.concatenate([one.accused for one in found]))]
        return Consistent(draft.model_copy(update={"verdict": "refuted", "witness": witness}), accused)
    clean = f"no anomaly in {many(result.exposed, 'answer')} that could have shown one"
    reasons = (*result.reasons, *chosen.doubts)
    if result.verdict == "held" and result.exposed < MINIMUM_OPERATIONS:
        exposed = many(result.exposed, "operation")
        reasons = (*reasons, f"only {exposed} could have shown an anomaly: at least {MINIMUM_OPERATIONS} are needed")
    if reasons:
        return Consistent(draft.model_copy(update={"observed": clean, "reasons": reasons}), nobody())
    planted, notes = _power(chosen, given, model, options, seed)
    update = {"observed": clean, "planted": planted, "notes": (*notes, *draft.notes)}
    if planted and not any(one.found for one in planted):
        struck = sum(one.struck for one in planted)
        why = f"of {many(struck, 'bug')} planted in these answers none would have been seen"
        return _open(draft.model_copy(update=update), why if struck else "no bug could have struck in these answers")
    return Consistent(draft.model_copy(update={**update, "verdict": "held"}), nobody())


def _against(result: Result) -> tuple[list[Anomaly], tuple[str, ...]]:
    """The anomalies that the level asked for forbids, and a note about those that only stronger ones do."""
    if result.level not in OBJECTS + TRANSACTIONS:
        return list(result.anomalies), ()
    levels = {*implied(result.level), ""}
    forbidden = [one for one in result.anomalies if one.level in levels]
    others = [f"{format_count(one.count)} {one.kind}" for one in result.anomalies if one.level not in levels]
    note = f"seen as well, which {result.level} allows: {', '.join(others)}"
    return forbidden, (note,) if others else ()


def _power(
    chosen: _Chosen, given: Operations, model: Model, options: Options, seed: int
) -> tuple[tuple[Planted, ...], tuple[str, ...]]:
    """What the chosen answers could have shown, and what was not tried."""
    if len(given) > POWER_UP_TO and not getattr(model, "per_key", False):  # then one try takes seconds
        return (), (f"no bugs were planted: the history has more than {format_count(POWER_UP_TO)} operations",)
    found = power(
        model, given, replace(options, budget=POWER_SECONDS), random.Random(seed), window=chosen.looks & given.ok
    )
    planted = tuple(Planted(kind=s.kind, struck=s.struck, found=s.found, legal=s.legal) for s in found.strikes)
    return planted, found.notes


def _any(masks: Sequence[NDArray[np.bool_]], count: int) -> NDArray[np.bool_]:
    found = np.zeros(count, dtype=np.bool_)
    for mask in masks:
        found |= mask
    return found


def _only_looks(operations: Operations) -> NDArray[np.bool_]:
    """What can be left out without changing what the others may answer: plain reads, and transactions of nothing else.

    A dequeue takes, a lock is acquired, a poll moves a position: the rest of the history is wrong without them.
    """
    looking = np.zeros(len(operations.values) + 1, dtype=np.bool_)
    transactions = operations.named("txn")
    for number in np.unique(operations.value[transactions]).tolist():
        steps = operations.of_value(number)
        looking[number] = isinstance(steps, tuple) and all(
            isinstance(step, tuple) and step and step[0] in ("r", "read") for step in steps
        )
    return operations.named("read", "get", "effects") | (transactions & looking[operations.value])


def _figures(
    evidence: Evidence, given: Operations, place: NDArray[np.int64], model: Model
) -> tuple[dict[str, float], dict[str, int], tuple[StaleAnswers, ...]]:
    """What was lost, when and where it had been acknowledged, and how stale answers were: where the model is about
    things of which that can be said.
    """
    numbers: dict[str, float] = {}
    split: dict[str, int] = {}
    if "read" in model.functions & set(given.functions) and (given.named("read") & given.final).any():
        finals = Finals(given)
        numbers = finals.numbers()
        split = by_time_and_side(evidence.history, place[finals.lost], evidence.disturbances, evidence.sides)
    stale: tuple[StaleAnswers, ...] = ()
    if model.name in _REGISTERS:
        stale = stale_answers(evidence, Staleness.of(given), place)
    return numbers, split, stale
