"""`pause`: a node stands still. A long garbage collection, a suspended virtual machine, a disk that hangs."""

from __future__ import annotations

from chaoskit.faults.model import NodeFault, NoParameters, Where

__all__ = ["FAULT", "Pause"]


class Pause(NodeFault[NoParameters]):
    """SIGSTOP to every process of the node. Its kernel still accepts connections, but nobody answers."""

    name = "pause"
    summary = "every process of the node is stopped (SIGSTOP); healed, it goes on where it was"
    Parameters = NoParameters
    abilities = frozenset({"pause"})
    node_state = "paused"
    node_kind = "frozen"
    link_kind = "silent"
    link_expected = 1.0

    def describe(self, parameters: NoParameters, where: Where) -> str:
        """What a client sees."""
        return f"{where.names} {where.be} frozen: connects succeed and nothing answers"


FAULT = Pause()
