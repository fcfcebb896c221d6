"""Sets in the long run: right and stale systems, planted losses, and the rule by its definition, read by read."""

from __future__ import annotations

import random as randomness
from typing import Any

from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

BUGS = ("none", "none", "stale", "lost", "lost", "drop", "zombie", "dirty", "thin", "twice")


def history(random: randomness.Random) -> list[Call]:
    """5-7 additions and reads of one or two sets, then two reads of each that may overlap: the last looks."""
    bug = random.choice(BUGS)
    keys = ("x",) if random.random() < 0.7 else ("x", "y")
    state: dict[str, set[Any]] = {key: set() for key in keys}
    old: dict[str, list[set[Any]]] = {key: [set()] for key in keys}
    ghosts: set[Any] = set()  # shown for a while though adding them fails
    asked = [0]

    def ask(number: int, random: randomness.Random) -> Call:
        asked[0] = number
        key = random.choice(keys)
        return Call(0, "add", value=number, key=key) if random.random() < 0.5 else Call(0, "read", key=key)

    def system(call: Call, random: randomness.Random) -> Any:
        have, strikes = state[call.key], random.random() < 0.3
        if call.f == "add":
            if strikes and bug == "drop":
                return None
            if strikes and bug == "dirty":
                ghosts.add((call.key, call.value))
                return FAILED
            have.add(call.value)
            old[call.key].append(set(have))
            return FAILED if strikes and bug == "zombie" else None
        if strikes and bug == "lost" and have:
            have.discard(random.choice(sorted(have)))
            old[call.key].append(set(have))
        shown = tuple(sorted(have | {element for key, element in ghosts if key == call.key}))
        if strikes and bug == "stale":
            shown = tuple(random.choice(old[call.key]))
        if strikes and bug == "thin":
            shown = (*shown, random.choice([100, asked[0] + 1]))
        if strikes and bug == "twice" and shown:
            return (*shown, shown[0])
        return random.choice([frozenset(shown), shown, shown or None])

    calls = simulate(ask, system, count=random.randint(5, 7), processes=3, random=random, info=0.4, fails=0.06)
    adds = [call for call in calls if call.f == "add"]
    if adds and random.random() < 0.3:
        random.choice(adds).outcome = random.choice(["fail", "ok", "info"])
    clock = 1 + max(max(call.invoked, call.completed) for call in calls)
    ghosts.clear()
    for key in keys:
        ends = random.choice([(2, 4), (3, 4), (2, 3)])
        for process, (begin, end) in enumerate(((0, ends[0]), (5 - ends[0], ends[1] + 1))):
            answer = system(Call(0, "read", key=key), random)
            calls.append(
                Call(90 + process, "read", key=key, result=answer, invoked=clock + begin, completed=clock + end)
            )
        clock += 6
    return calls


def legal(calls: list[Call]) -> bool:
    return all(_legal([call for call in calls if call.key == key]) for key in {call.key for call in calls})


def _legal(calls: list[Call]) -> bool:
    reads = [call for call in calls if call.f == "read" and call.outcome == "ok"]
    adds = [call for call in calls if call.f == "add" and call.outcome != "fail"]
    shown = [(read, element) for read in reads for element in read.result or ()]
    for read, element in shown:
        own = [add for add in adds if add.value == element]
        if not own or all(add.invoked > read.completed for add in own):
            return False
        if list(read.result).count(element) > 1:
            return False
    return not any(_lost(add.value, adds, reads) for add in adds)


def _lost(element: Any, adds: list[Call], reads: list[Call]) -> bool:
    showing = [read for read in reads if element in (read.result or ())]
    evidence = [add.completed for add in adds if add.value == element and add.outcome == "ok"]
    evidence += [read.completed for read in showing]
    if not evidence:
        return False
    missing = [read for read in reads if read not in showing and read.invoked > min(evidence)]
    return any(all(show.completed < miss.invoked for show in showing) for miss in missing)


def _model() -> Any:
    from chaoskit.checks.models.set_full import MODEL

    return MODEL


SET_FULL = Subject("set-full", _model, history, legal)
SUBJECTS = [SET_FULL]


_MODEL, _FATES = "chaoskit/checks/models/set_full.py", "chaoskit/checks/set_fates.py"


def _mutant(rule: str, old: str, new: str, file: str = _MODEL) -> Mutant:
    return Mutant("histories.set_full:SET_FULL", rule, file, old, new)


MUTANTS = [
    _mutant("no lost", 'add("lost", own.first[lost]', 'add("lost", own.first[lost][:0]'),
    _mutant("no resurrection", "np.maximum(turn, fates.begins),", "fates.ends,"),
    _mutant("no aborted read", "fates.begins, np.minimum(turn, fates.ends),", "fates.begins, fates.begins,"),
    _mutant(
        "no thin air", "strange = np.flatnonzero(fates.group == NONE)", "strange = np.flatnonzero(fates.group < NONE)"
    ),
    _mutant("no duplicate", "repeated = reads[fates.twice]", "repeated = reads[:0]"),
    _mutant("no future read", "fates.first_ended[early] < own.began", "fates.first_ended[early] < 0 * own.began"),
    _mutant(
        "the last read alone decides",
        "self.missed & np.less(self.last_ended, self._began(self.last_missed), dtype=np.bool_)",
        "self.missed",
        _FATES,
    ),
    _mutant(
        "what is not known can be lost",
        "np.greater(self._began(self.last_missed), self.known, dtype=np.bool_)",
        "np.greater(self._began(self.last_missed), NONE, dtype=np.bool_)",
        _FATES,
    ),
    _mutant(
        "only acknowledgements count",
        "np.minimum.at(found, self.group[self._added], self.first_ended[self._added])",
        "pass",
        _FATES,
    ),
    _mutant(
        "additions are known when they begin",
        "np.where(self.additions.first == NONE, NEVER, self.additions.known)",
        "np.where(self.additions.first == NONE, NEVER, self.additions.began)",
        _FATES,
    ),
    _mutant(
        "an answer is shown until the next one of another key",
        "before = frozenset()  # another key",
        "pass  # another key",
        _FATES,
    ),
]
