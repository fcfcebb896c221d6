"""How a stack that is up reads on a terminal: nodes, links and how to talk over them, faults and what was seen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from chaoskit.cli.output import paint, table
from chaoskit.units import format_duration

__all__ = ["fault_lines", "stack_text"]


def stack_text(stack: Mapping[str, Any]) -> str:
    """All of it."""
    name = paint(str(stack["name"]), "bold")
    if stack["state"] == "lost":
        return f"{name}: {stack['error']['message']}\n  next: {stack['error']['hint']}"
    left = format_duration(max(round(stack["until"] - time.time()), 0))
    lines = [f"{name} is {stack['state']} ({stack['run']}), ends by itself in {left}; logs in {stack['directory']}"]
    if stack["nodes"]:
        rows = [
            [node["name"], node["state"], str(node["processes"]), ", ".join(node["listens"]) or "-"]
            for node in stack["nodes"]
        ]
        lines += ["", table(rows, ("node", "state", "processes", "really listens at"))]
    if stack["links"]:
        # From the clients first: that is where people begin.
        links = sorted(stack["links"], key=lambda link: not link["source"].startswith("client"))
        rows = [[link["id"], ", ".join(link["bent_by"]) or "-", link["talk"]] for link in links]
        lines += ["", table(rows, ("link", "bent by", "talk over it"))]
        lines += [f"all of it through {stack['toxiproxy']['server']} Toxiproxy at {stack['toxiproxy']['control']}"]
    shown = [fault for fault in stack["faults"] if fault["state"] != "healed"]
    shown += [fault for fault in stack["faults"] if fault["state"] == "healed"][-5:]
    if shown:
        lines += [""] + [line for fault in shown for line in fault_lines(fault, evidence=True)]
    elif stack["state"] == "up":
        lines += ["", "nothing is bent"]
    return "\n".join([*lines, *stack["notes"]])


def fault_lines(fault: Mapping[str, Any], *, evidence: bool = False) -> list[str]:
    """What a fault does, until when, and on request what was seen of it."""
    lines = [f"{paint(str(fault['id']), 'bold')}: {fault['sentence']}, {_when(fault)}"]
    lines += [f"  note: {note}" for note in fault["notes"]]
    if not evidence:
        return lines
    if fault["seen"] is not None:
        words = "seen to bite" if fault["seen"] else "NOT seen to bite"
        lines += [f"  {words}: {text}" for text in fault["evidence"]]
    if fault["gone"] is not None:
        words = "seen to be gone" if fault["gone"] else "NOT seen to be gone"
        lines += [f"  {words}: {text}" for text in fault["gone_evidence"]]
    return lines


def _when(fault: Mapping[str, Any]) -> str:
    if fault["state"] == "healed":
        return f"healed ({fault['why']})"
    if fault["state"] == "unhealed":
        return paint(f"NOT HEALED: {fault['why']}", "red")
    if fault["until"] is None:
        return "at once"
    until = time.strftime("%H:%M:%S", time.localtime(fault["until"]))
    return f"until {until} ({format_duration(round(fault['left_s'] or 0.0, 1))} left)"
