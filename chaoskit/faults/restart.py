"""`restart`: a node is killed and started again at once. A crash under a good service manager, or an update."""

from __future__ import annotations

from chaoskit.faults.model import NodeFault, NoParameters, Where

__all__ = ["FAULT", "Restart"]


class Restart(NodeFault[NoParameters]):
    """An instant: the kill begins and ends at once, so that the node is away for as long as it takes to start."""

    name = "restart"
    summary = "every process of the node is killed and the node is started again at once, its data folder kept"
    Parameters = NoParameters
    instant = True
    abilities = frozenset({"kill", "restart"})
    destroys_data = True  # what was only in memory
    node_state = "killed"
    node_kind = "restarted"

    def describe(self, parameters: NoParameters, where: Where) -> str:
        """What a client sees."""
        return f"{where.names} {where.be} killed and started again at once"


FAULT = Restart()
