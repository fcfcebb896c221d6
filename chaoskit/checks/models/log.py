"""Model `log`: partitioned append-only logs with offsets, as Kafka's: nothing lost, moved, reordered or skipped.

How operations look: `chaoskit.checks.logs`. Messages are unique per key (partition). What is an anomaly:

    lost                    a message was acknowledged at an offset and nobody ever polled it, though somebody polled a
                            later one: consumers together are taken to have read every key from its beginning
    resurrection            a message was polled whose send had been told to have failed
    aborted-read            the same, but the failure was told only after the poll began
    thin-air, future-read   nobody ever sent it; it was polled before its send began
    inconsistent-offsets    two messages at one offset. duplicate: one message at two offsets
    gap, reordered          one poll jumps over an offset that holds a message; or does not go on to a higher offset
    poll-skip               the same from one poll of a consumer to its next one, where its position is known
    nonmonotonic-poll       (consumers that were assigned, not subscribed)
    nonmonotonic-send       a send was acknowledged before another began, but its offset is higher; or within one
                            operation

Offsets without a message (markers of transactions, compaction) are no gaps. Messages that were acknowledged beyond
everything that was polled may be there: then the result is inconclusive. Source: the rules and names of Jepsen's kafka
workload, and the order in real time that any single log keeps; cycles between transactions are not looked for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chaoskit.checks.altering import LOGS
from chaoskit.checks.elements import Indexes
from chaoskit.checks.forms import only
from chaoskit.checks.logbook import Logbook
from chaoskit.checks.logs import FUNCTIONS, messages
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.words import called, shortened
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import shown
from chaoskit.units import format_count

__all__ = ["MODEL", "Log"]

_Told = tuple[tuple[int, ...], str]


class Log:
    """Logs per key; `exposed` are acknowledged messages at or below the highest offset of their key that was polled."""

    name = "log"
    summary = "send / poll with offsets: no message lost, moved, reordered, skipped or shown twice"
    functions = FUNCTIONS
    levels: tuple[str, ...] = ()
    alterations: tuple[Alteration, ...] = LOGS

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules."""
        only(operations, self.name, self.functions)
        log = Logbook(operations, messages(operations))
        reasons = []
        if log.repeated.any():
            count = int(np.count_nonzero(log.repeated))
            reasons.append(
                f"{format_count(count)} {'message was' if count == 1 else 'messages were'} sent more than once to one "
                "key, and cannot be told apart: give every send its own value"
            )
        if len(log.unseen):
            reasons.append(
                f"{format_count(len(log.unseen))} acknowledged {'message' if len(log.unseen) == 1 else 'messages'} lie "
                "beyond all that was polled: poll every key to its end"
            )
        return judged(
            self.name,
            "",
            "every acknowledged message stays at its offset, and every consumer sees all of them in order",
            len(operations),
            log.exposed,
            _anomalies(log),
            reasons=tuple(reasons),
            numbers={
                "acknowledged": int(np.count_nonzero(log.additions.known != NEVER)),
                "messages polled": len(log.polled.by),
                "lost": len(log.lost),
                "unseen": len(log.unseen),
            },
        )


MODEL = Log()


def _anomalies(log: Logbook) -> tuple[Anomaly, ...]:
    operations, own, polled, group = log.operations, log.additions, log.polled, log.group
    found: list[Anomaly] = []

    def name(position: int) -> str:
        return called(operations, int(position))

    def message(value: int, key: int) -> str:
        of = shown(polled.keys[int(key)])
        return shortened(shown(polled.values[int(value)])) + ("" if of == "nil" else f" of {of}")

    def add(kind: str, rows: Indexes, by: Indexes, tell: Callable[[int], _Told]) -> None:
        if len(rows):
            witness, sentence = tell(int(rows[0]))
            found.append(Anomaly(kind, "", len(rows), tuple(dict.fromkeys(witness)), sentence, np.unique(by)))

    def lost(one: int) -> _Told:
        put, key = int(own.acknowledged[one]), int(own.key[one])
        at = np.searchsorted(log.offsets, polled.offset)
        later = int(polled.by[np.argmax((polled.key == key) & (at == log.highest[key]))])
        what = f"{message(own.value[one], key)} was acknowledged at offset {int(log.offsets[log.acknowledged_at[one]])}"
        return (put, later), f"{what} by {name(put)} and nobody ever polled it, though {name(later)} polled beyond it"

    add("lost", log.lost, own.acknowledged[log.lost], lost)
    known = (group != NONE) & log.stamped
    failed = known.copy()
    failed[known] = own.first[group[known]] == NONE
    told = np.zeros(len(group), dtype=np.int64)
    told[failed] = own.told[group[failed]]
    late = failed & (told < operations.invoked[polled.by])
    early = known & ~failed
    early[early] = own.began[group[early]] > operations.completed[polled.by[early]]

    def from_send(what: str) -> Callable[[int], _Told]:
        def tell(row: int) -> _Told:
            first = int(own.first[group[row]])
            put = int(own.failed[group[row]]) if first == NONE else first
            by = int(polled.by[row])
            return (
                put,
                by,
            ), f"{name(by)} polled {message(polled.value[row], polled.key[row])}, which {name(put)} {what}"

        return tell

    def thin(row: int) -> _Told:
        by = int(polled.by[row])
        return (by,), f"{name(by)} polled {message(polled.value[row], polled.key[row])}, which nobody ever sent"

    for kind, mask, tell in (
        ("resurrection", late, from_send("had been told to have failed to send")),
        ("aborted-read", failed & ~late, from_send("failed to send")),
        ("thin-air", group == NONE, thin),
        ("future-read", early, from_send("had not even begun to send")),
    ):
        rows = np.flatnonzero(mask)
        add(kind, rows, polled.by[rows], tell)
    found += _places(log, name, message)
    found += _steps(log, name)
    found += _sends(log, name, message)
    return tuple(found)


_Name = Callable[[int], str]
_Message = Callable[[int, int], str]


def _places(log: Logbook, name: _Name, message: _Message) -> list[Anomaly]:
    """Two messages at one offset, one message at two offsets."""
    by, key, offset, value = log.places
    found = []
    which = key * (len(log.polled.values) + 1) + value
    for kind, first, second in (
        ("inconsistent-offsets", log.place(key, offset), value),
        ("duplicate", which, np.searchsorted(log.offsets, offset)),
    ):
        rows = np.flatnonzero(log.disputed(first, second))
        if not len(rows):
            continue
        one = int(rows[0])
        other = int(rows[np.argmax((first[rows] == first[one]) & (second[rows] != second[one]))])
        places = [f"{message(value[row], key[row])} at offset {int(offset[row])}" for row in (one, other)]
        witness = tuple(dict.fromkeys((int(by[one]), int(by[other]))))
        if len(witness) == 1:
            sentence = f"{name(by[one])} has {places[0]} and {places[1]}"
        else:
            sentence = f"{name(by[one])} has {places[0]}, {name(by[other])} has {places[1]}"
        count = len(np.unique(first[rows]))
        found.append(Anomaly(kind, "", count, witness, sentence, np.unique(by[rows])))
    return found


def _steps(log: Logbook, name: _Name) -> list[Anomaly]:
    """Polls that go back or jump, within one operation and from one to the next of a consumer."""
    polled, found = log.polled, []
    for within, back, jump in ((True, "reordered", "gap"), (False, "nonmonotonic-poll", "poll-skip")):
        before, after = log.steps(polled.by if within else polled.consumer, within)
        went_back = polled.offset[after] <= polled.offset[before]
        skipped = ~went_back & (log.between(before, after) > 0)
        for kind, mask in ((back, went_back), (jump, skipped)):
            if not mask.any():
                continue
            one = int(np.argmax(mask))
            earlier, later = int(before[one]), int(after[one])
            witness = [int(polled.by[earlier]), int(polled.by[later])]
            if not within:
                witness.append(polled.assigned[int(polled.consumer[earlier])])
            went = f"offset {int(polled.offset[earlier])} to {int(polled.offset[later])}"
            who = name(polled.by[later]) if within else f"{name(polled.by[earlier])} and then {name(polled.by[later])}"
            sentence = f"{who} went from {went}"
            if kind == jump:
                row = _one_between(log, earlier, later)
                by, _, offset, _ = log.places
                witness.append(int(by[row]))
                sentence += f", though {name(by[row])} shows a message at {int(offset[row])}"
            accused = np.unique(polled.by[after[mask]])
            found.append(Anomaly(kind, "", int(mask.sum()), tuple(dict.fromkeys(witness)), sentence, accused))
    return found


def _one_between(log: Logbook, before: int, after: int) -> int:
    _, key, offset, _ = log.places
    inside = (key == log.polled.key[before]) & (offset > log.polled.offset[before])
    return int(np.argmax(inside & (offset < log.polled.offset[after])))


def _sends(log: Logbook, name: _Name, message: _Message) -> list[Anomaly]:
    """Sends whose offsets contradict the order in which they were made."""
    own, polled, operations = log.additions, log.polled, log.operations
    rows = np.flatnonzero((polled.sent_offset != NONE) & operations.ok[polled.sent_by])
    rows = rows[np.lexsort((rows, polled.sent_key[rows], polled.sent_by[rows]))]
    before, after = rows[:-1], rows[1:]
    inside = (polled.sent_by[before] == polled.sent_by[after]) & (polled.sent_key[before] == polled.sent_key[after])
    inside &= polled.sent_offset[before] >= polled.sent_offset[after]
    count = len(log.backward) + int(np.count_nonzero(inside))
    if not count:
        return []
    accused = np.concatenate([own.first[log.backward], polled.sent_by[after[inside]]])
    if inside.any():
        one, other = int(before[np.argmax(inside)]), int(after[np.argmax(inside)])
        by = int(polled.sent_by[one])
        offsets = f"{int(polled.sent_offset[one])} and then {int(polled.sent_offset[other])}"
        sentence = f"{name(by)} sent messages that stand at offsets {offsets}"
        return [Anomaly("nonmonotonic-send", "", count, (by,), sentence, np.unique(accused))]
    later = int(log.backward[0])
    groups, stands = log.sends
    ahead = (own.key[groups] == own.key[later]) & (own.known[groups] < own.began[later])
    ahead &= stands > log.sent_at[later]
    earlier = int(groups[np.argmax(ahead)])
    put, then = int(own.acknowledged[earlier]), int(own.first[later])
    at, at_key, _, value = log.places
    shows = [int(at[np.argmax((at_key == own.key[one]) & (value == own.value[one]))]) for one in (earlier, later)]
    places = [
        f"{message(own.value[one], own.key[one])} at {int(log.offsets[log.sent_at[one]])}" for one in (earlier, later)
    ]
    sentence = f"{name(put)} had been acknowledged before {name(then)} began, but {places[0]} stands after {places[1]}"
    witness = tuple(dict.fromkeys((put, then, *shows)))
    return [Anomaly("nonmonotonic-send", "", count, witness, sentence, np.unique(accused))]
