"""`kill`: a node dies at once, with all its processes, and stays down until it heals."""

from __future__ import annotations

from chaoskit.faults.model import DataParameters, NodeFault, Where

__all__ = ["FAULT", "Kill"]


class Kill(NodeFault[DataParameters]):
    """SIGKILL to every process of the node. Links to it refuse, as they would if nobody stood in between."""

    name = "kill"
    summary = "every process of the node is killed; healed, it starts again with its data kept or, if asked, wiped"
    Parameters = DataParameters
    abilities = frozenset({"kill"})
    destroys_data = True  # what was only in memory
    node_state = "killed"
    node_kind = "down"
    link_kind = "refused"

    def describe(self, parameters: DataParameters, where: Where) -> str:
        """What a client sees."""
        again = "as new, without data" if self.wipes(parameters) else "again"
        return f"{where.names} {where.be} killed and refuse{where.s} connections until started {again}"

    def wipes(self, parameters: DataParameters) -> bool:
        """Whether the nodes lose their data."""
        return parameters.data == "wipe"


FAULT = Kill()
