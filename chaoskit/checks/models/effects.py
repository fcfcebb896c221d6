"""Model `effects`: a request with an idempotency key takes effect at most once, and once if it was acknowledged.

    execute, transfer   one attempt. Its idempotency key is the operation's `key`, or its `value` where there is no key.
                        Attempts with one key are one request: here, and only here, retries belong together
    read, effects       how often requests took effect, by the books of the system: with a key (or value) the number for
                        that key (nil is none); without, all of them: {key: number}, or a list with each key as often as
                        it is in the books

Of a request: ok = once, fail = never, unknown = never or once, all of its attempts taken together.

    duplicate        an answer counts a request more than once
    thin-air         … counts one that nobody made
    aborted-read     … counts one of which every attempt failed
    future-read      … counts one before its first attempt began
    lost-effect      … counts none, although an attempt had been acknowledged before the question (`nil-after-ack`,
                     where the answer was nil)
    vanished-effect  … counts none, after an earlier answer had counted it: gone, or about to come back

Exact: a request is a flag that is set once, by its first attempt that arrives. It can have been set at some instant iff
that instant lies after the first attempt began and after the last question that found none began, and before the first
acknowledgement and before the first answer that found one.
"""

from __future__ import annotations

import random as randomness
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.forms import answering, only, unlike, whole
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.words import called
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import Map, shown

__all__ = ["MODEL", "Effects"]

_Ints = NDArray[np.int64]
_ATTEMPTS = ("execute", "transfer")
_QUESTIONS = ("read", "effects")
_KINDS = ("duplicate", "thin-air", "aborted-read", "future-read", "nil-after-ack", "lost-effect", "vanished-effect")
_SHOWN = 9  # attempts beside the answer that accuses


@dataclass(frozen=True)
class _Requests:
    """Requests by number, and the place of every attempt among them. Ranks; NEVER = there is none."""

    numbers: Mapping[Any, int]  # by idempotency key as text, because keys of maps in JSON are texts
    names: list[str]
    attempts: _Ints  # positions
    request: _Ints  # of each attempt
    begun: _Ints  # first invocation of an attempt that did not fail
    acknowledged: _Ints  # first acknowledgement


@dataclass(frozen=True)
class _Answers:
    """Numbers of effects as they were answered: one entry per question and request. `request` may be beyond those
    that were made."""

    position: _Ints
    request: _Ints
    count: _Ints
    nil: NDArray[np.bool_]


def _changed(operations: Operations, position: int, random: randomness.Random, wanted: int) -> Operations | None:
    """One request counted `wanted` times by one answer, where it was counted once."""
    if operations.function(position) not in _QUESTIONS:
        return None
    answer = operations.of_value(operations.result[position])
    if whole(answer) == 1:
        return answering(operations, position, wanted)
    if isinstance(answer, Mapping):
        once = [key for key, number in answer.items() if whole(number) == 1]
        return answering(operations, position, Map({**answer, random.choice(once): wanted})) if once else None
    if isinstance(answer, tuple) and answer:
        key = random.choice(answer)
        return answering(operations, position, tuple(one for one in answer if one != key) + (key,) * wanted)
    return None


def _twice(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    return _changed(operations, position, random, 2)


def _never(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    return _changed(operations, position, random, 0)


class Effects:
    """Judges attempts and what the books say. Exposed: answers about requests of which an attempt had begun."""

    name = "effects"
    summary = "execute (key = idempotency key), read → number of effects: ok = 1, fail = 0, unknown = 0 or 1"
    functions = frozenset({*_ATTEMPTS, *_QUESTIONS})
    levels: tuple[str, ...] = ()
    alterations = (Alteration("executed-twice", _twice), Alteration("lost-effect", _never))

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules.

        Raises:
            HistoryError: another function, an attempt without a key, or an answer of another form.
        """
        only(operations, self.name, self.functions)
        requests = _requests(operations)
        answers, names = _answers(operations, requests)
        count, known = len(names), len(requests.names)
        beyond = np.full(count - known, NEVER)
        begun = np.append(requests.begun, beyond)[answers.request]
        acknowledged = np.append(requests.acknowledged, beyond)[answers.request]
        asked, told = operations.invoked[answers.position], operations.completed[answers.position]
        found, none = answers.count > 0, answers.count == 0
        seen = np.full(count, NEVER)
        np.minimum.at(seen, answers.request[found], told[found])
        failed = np.zeros(count, dtype=np.bool_)
        failed[requests.request] = True

        kind = np.zeros(len(answers.count), dtype=np.int8)
        unmade = found & (begun == NEVER)
        # The gravest is written last.
        kind[none & (asked > seen[answers.request])] = 7
        kind[none & (asked > acknowledged)] = 6
        kind[none & (asked > acknowledged) & answers.nil] = 5
        kind[found & (told < begun) & ~unmade] = 4
        kind[unmade & failed[answers.request]] = 3
        kind[unmade & ~failed[answers.request]] = 2
        kind[answers.count > 1] = 1
        anomalies = tuple(_anomalies(operations, requests, answers, names, kind))
        return judged(
            self.name,
            "",
            "every acknowledged request took effect exactly once, every other one at most once",
            len(operations),
            int(np.count_nonzero(begun < told)),
            anomalies,
            numbers={
                "requests": float(known),
                "requests acknowledged": float(np.count_nonzero(requests.acknowledged != NEVER)),
                "attempts": float(len(requests.attempts)),
            },
        )


def _requests(operations: Operations) -> _Requests:
    attempts = np.flatnonzero(operations.named(*_ATTEMPTS))
    identity = np.where(operations.key[attempts] == NONE, operations.value[attempts], operations.key[attempts])
    for missing in attempts[identity == NONE]:
        raise unlike(
            operations, int(missing), "has no idempotency key: `key`, or `value` where there is none, is to be it"
        )
    distinct, request = np.unique(identity, return_inverse=True)
    names = [shown(operations.values[number]) for number in distinct.tolist()]
    numbers: dict[str, int] = {}
    for number, name in enumerate(names):
        if numbers.setdefault(name, number) != number:
            twin = int(attempts[request == number][0])
            raise unlike(operations, twin, "has a key that reads like another one, a number and a text: use one kind")
    possible, ok = ~operations.failed[attempts], operations.ok[attempts]
    begun, acknowledged = np.full(len(names), NEVER), np.full(len(names), NEVER)
    np.minimum.at(begun, request[possible], operations.invoked[attempts[possible]])
    np.minimum.at(acknowledged, request[ok], operations.completed[attempts[ok]])
    return _Requests(numbers, names, attempts, request.astype(np.int64), begun, acknowledged)


def _answers(operations: Operations, requests: _Requests) -> tuple[_Answers, list[str]]:
    """What was answered, and the names of all requests: those that were made, then those that the books invented."""
    names, numbers = list(requests.names), dict(requests.numbers)
    position: list[_Ints] = []
    request: list[_Ints] = []
    count: list[_Ints] = []
    nil: list[NDArray[np.bool_]] = []
    questions = np.flatnonzero(operations.ok & operations.named(*_QUESTIONS))
    identity = np.where(operations.key[questions] == NONE, operations.value[questions], operations.key[questions])

    # About one request each: taken apart by distinct keys and distinct answers, of which there are few.
    single, asked = questions[identity != NONE], identity[identity != NONE]
    distinct, which = np.unique(asked, return_inverse=True)
    places = [_place(shown(operations.values[key]), names, numbers) for key in distinct.tolist()]
    told, first, answer = np.unique(operations.result[single], return_index=True, return_inverse=True)
    counts = [
        min(_count(operations, int(single[at]), operations.of_value(number), ""), 2)
        for number, at in zip(told.tolist(), first.tolist(), strict=True)
    ]
    position.append(single)
    request.append(np.array(places, dtype=np.int64)[which])
    count.append(np.array(counts, dtype=np.int64)[answer])
    nil.append(operations.result[single] == NONE)

    for one in questions[identity == NONE].tolist():
        # All requests are answered for, those that are not in the books with none.
        entries = dict(_books(operations, one))
        found = [_place(name, names, numbers) for name in entries]
        counted = np.zeros(len(names), dtype=np.int64)
        counted[found] = [min(entry, 2) for entry in entries.values()]
        position.append(np.full(len(names), one, dtype=np.int64))
        request.append(np.arange(len(names), dtype=np.int64))
        count.append(counted)
        nil.append(np.full(len(names), operations.result[one] == NONE))
    empty = np.empty(0, dtype=np.int64)
    answers = _Answers(
        np.concatenate([empty, *position]),
        np.concatenate([empty, *request]),
        np.concatenate([empty, *count]),
        np.concatenate([empty.astype(np.bool_), *nil]),
    )
    return answers, names


def _place(name: str, names: list[str], numbers: dict[Any, int]) -> int:
    """The number of a request; a new one for a name that nobody asked for."""
    number = numbers.setdefault(name, len(names))
    if number == len(names):
        names.append(name)
    return number


def _count(operations: Operations, position: int, entry: Any, of: str) -> int:
    number = 0 if entry is None else whole(entry)
    if number is None or number < 0:
        raise unlike(operations, position, f"answers no number of effects{of}")
    return number


def _books(operations: Operations, position: int) -> Iterator[tuple[str, int]]:
    answer = operations.of_value(operations.result[position])
    if isinstance(answer, tuple):
        yield from Counter(map(shown, answer)).items()
    elif isinstance(answer, Mapping):
        for key, entry in answer.items():
            yield shown(key), _count(operations, position, entry, f" for {shown(key)}")
    elif answer is not None:
        raise unlike(operations, position, "answers neither {key: number of effects} nor a list of keys")


def _anomalies(
    operations: Operations, requests: _Requests, answers: _Answers, names: list[str], kinds: NDArray[np.int8]
) -> Iterator[Anomaly]:
    for number, kind in enumerate(_KINDS, start=1):
        wrong = np.flatnonzero(kinds == number)
        if not len(wrong):
            continue
        place = int(wrong[np.argmin(operations.completed[answers.position[wrong]])])
        request, read = int(answers.request[place]), int(answers.position[place])
        own = requests.attempts[requests.request == request]
        own = own[np.argsort(operations.invoked[own])]
        if kind in ("nil-after-ack", "lost-effect"):
            own = own[operations.completed[own] == requests.acknowledged[request]]
        elif kind == "vanished-effect":
            seen = answers.position[(answers.request == request) & (answers.count > 0)]
            own = np.append(own[~operations.failed[own]][:1], seen[np.argmin(operations.completed[seen])])
        name = names[request]
        sentence = {
            "duplicate": f"{name} took effect more than once, says {called(operations, read)}",
            "thin-air": f"{called(operations, read)} counts {name}, which nobody asked for",
            "aborted-read": f"{called(operations, read)} counts {name}, of which every attempt had failed",
            "future-read": f"{called(operations, read)} counts {name}, whose first attempt had not begun when it ended",
            "vanished-effect": f"{called(operations, read)} counts no {name}, which an answer before it had counted",
        }.get(kind)
        if sentence is None:
            acknowledged = f"{called(operations, int(own[0]))} had been acknowledged before it began"
            sentence = f"{called(operations, read)} counts no {name}, although {acknowledged}"
        accused = np.unique(answers.position[wrong])
        witness = tuple(sorted({read, *own[:_SHOWN].tolist()}))
        yield Anomaly(kind, "", len(wrong), witness, sentence, accused)


MODEL = Effects()
