"""Where and when: on which side of a partition clients stood, and when what they wrote was acknowledged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.frame import History
from chaoskit.history.operation import NONE
from chaoskit.history.windows import Disturbance
from chaoskit.stack.passages import named_sides

__all__ = ["Sides", "by_time_and_side", "standing"]

Sides = Mapping[str, Mapping[str, tuple[str, ...]]]  # partition -> side -> nodes that stood there, clients included


def standing(history: History, sides: Mapping[str, tuple[str, ...]]) -> NDArray[np.int64]:
    """Of every row, the number of the side on which its client stood, in the order of `sides`; NONE for none. Of sides
    that have a client in common the last one counts.
    """
    of_node = np.full(len(history.nodes) + 1, NONE, dtype=np.int64)  # the last one is for rows that name no source
    for number, names in enumerate(sides.values()):
        of_node[[place for place, name in enumerate(history.nodes) if name in names]] = number
    found: NDArray[np.int64] = of_node[history.rows["source"]]
    return found


def by_time_and_side(
    history: History, writes: NDArray[np.int64], disturbances: Sequence[Disturbance], sides: Sides
) -> dict[str, int]:
    """How many of some acknowledged writes there are by when and where they were acknowledged.

    Args:
        writes: positions in `history.rows`.
        disturbances: those that were not seen to begin are left out; one that was not healed lasted to the end.

    Returns:
        "acknowledged before X", "… during X" and "… after X" for each disturbance; of a partition "… during X at SIDE"
        for each side (of several names of one side all; single nodes are none), and "… during X" for clients that stood
        on none.
    """
    found: dict[str, int] = {}
    ended = history.rows["t_end"][writes]
    for one in disturbances:
        if one.start_ns is None:
            continue
        before = ended < one.start_ns
        after = np.zeros(len(ended), dtype=np.bool_) if one.heal_ns is None else ended >= one.heal_ns
        own = named_sides(sides.get(one.id, {}))
        side = standing(history, own)[writes]
        during = ~before & ~after
        parts = {f"before {one.id}": before}
        parts |= {f"during {one.id} at {name}": during & (side == number) for number, name in enumerate(own)}
        nowhere = during & (side == NONE)
        if not own or nowhere.any():
            parts[f"during {one.id}"] = nowhere
        parts[f"after {one.id}"] = after
        found |= {f"acknowledged {when}": int(np.count_nonzero(chosen)) for when, chosen in parts.items()}
    return found
