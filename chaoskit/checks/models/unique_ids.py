"""Model `unique-ids`: whatever is generated is generated once.

    generate            an identifier is asked for; the answer is the identifier
    generate, with key  identifiers need to differ among those of the same key only (a tenant, a table)

An answer that nobody saw (unknown outcome) has no identifier that could be compared, and a failed one gave none out.
Exact: two equal answers are a proof, and without them every answer could have come from a correct generator.
"""

from __future__ import annotations

import random as randomness

import numpy as np

from chaoskit.checks.forms import answering_id, only
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.words import called
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations

__all__ = ["MODEL", "UniqueIds"]


def _given_again(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    mine = operations.key[position]
    others = np.flatnonzero(operations.ok[:position] & (operations.key[:position] == mine))
    others = others[operations.result[others] != NONE]
    if not len(others):
        return None
    return answering_id(operations, position, int(operations.result[random.choice(others.tolist())]))


class UniqueIds:
    """Judges `generate`. Anomalies: `duplicate` (per answer that was there before) and `nil-after-ack` (an
    acknowledged request that got no identifier). Exposed: answers that were compared with others.
    """

    name = "unique-ids"
    summary = "generate → id: no two answers are the same"
    functions = frozenset({"generate"})
    levels: tuple[str, ...] = ()
    per_key = True
    alterations = (Alteration("duplicate", _given_again),)  # what somebody else was given before

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules.

        Raises:
            HistoryError: there is another function than `generate`.
        """
        only(operations, self.name, self.functions)
        answered = np.flatnonzero(operations.ok)
        nothing = answered[operations.result[answered] == NONE]
        given = answered[operations.result[answered] != NONE]
        key, result = operations.key[given], operations.result[given]
        order = np.lexsort((operations.completed[given], result, key))
        same = (key[order][1:] == key[order][:-1]) & (result[order][1:] == result[order][:-1])
        again = given[order[1:][same]]
        anomalies = []
        if len(again):
            late = int(again[np.argmin(operations.completed[again])])
            twins = given[(key == operations.key[late]) & (result == operations.result[late])]
            first = int(twins[np.argmin(operations.completed[twins])])
            anomalies.append(
                Anomaly(
                    "duplicate",
                    "",
                    len(again),
                    (first, late),
                    f"{called(operations, late)} was given what {called(operations, first)} had been given",
                    np.sort(again),
                )
            )
        if len(nothing):
            one = int(nothing[0])
            sentence = f"{called(operations, one)} was acknowledged, but got no identifier"
            anomalies.append(Anomaly("nil-after-ack", "", len(nothing), (one,), sentence, nothing))
        return judged(
            self.name,
            "",
            "no identifier is given out twice",
            len(operations),
            len(given),
            tuple(anomalies),
            numbers={"identifiers": float(len(given)), "given out again": float(len(again))},
        )


MODEL = UniqueIds()
