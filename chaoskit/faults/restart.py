"""`restart`: a node is killed and started again at once. A crash under a good service manager, or an update."""

from __future__ import annotations

from chaoskit.faults.model import DataParameters, NodeFault, Where

__all__ = ["FAULT", "Restart"]


class Restart(NodeFault[DataParameters]):
    """An instant: the kill begins and ends at once, so that the node is away for as long as it takes to start."""

    name = "restart"
    summary = "every process of the node is killed and the node is started again at once, data kept or, if asked, wiped"
    Parameters = DataParameters
    instant = True
    abilities = frozenset({"kill", "restart"})
    destroys_data = True  # what was only in memory
    node_state = "killed"
    node_kind = "restarted"

    def describe(self, parameters: DataParameters, where: Where) -> str:
        """What a client sees."""
        how = "with nothing of what was stored" if self.wipes(parameters) else "at once"
        return f"{where.names} {where.be} killed and started again {how}"

    def wipes(self, parameters: DataParameters) -> bool:
        """Whether the nodes lose their data."""
        return parameters.data == "wipe"


FAULT = Restart()
