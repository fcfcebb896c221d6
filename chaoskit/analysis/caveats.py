"""The limits of a run, as sentences: what a reader must not conclude from it."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.analysis.figures import EVERY
from chaoskit.analysis.model import CellAnalysis, ClaimSummary
from chaoskit.analysis.statistics import FEWEST_TRIALS, most_per_operation
from chaoskit.checks.witness import many
from chaoskit.plan import Plan
from chaoskit.units import format_count, format_duration

__all__ = ["caveats"]


def caveats(plan: Plan, cells: Sequence[CellAnalysis], claims: Sequence[ClaimSummary]) -> tuple[str, ...]:
    """Sentences for the report's “limits of this run”, the ones about this very run first."""
    found = _about_cells(cells)
    found += _about_samples(plan, cells, claims)
    found += _about_faults(plan)
    found.append(
        "All clocks are one clock: clients, proxy and engine ran on this machine and shared its processors with the "
        "system under test. Absolute latencies are this machine's; differences between windows and variants are the "
        "finding."
    )
    if any(claim.verdict == "held" for claim in claims):
        found.append(
            "“Held” means not refuted in the operations that were counted, under these faults and this load; it is no "
            "proof."
        )
    return tuple(dict.fromkeys(found))


def _about_cells(cells: Sequence[CellAnalysis]) -> list[str]:
    found = []
    for cell in cells:
        name = f"{cell.variant}/{cell.trial}"
        found += [f"{name} is inconclusive: {reason}." for reason in cell.reasons]
        found += [f"{name}: {observation}." for observation in cell.observations]
        late = cell.send_error_p99
        if late is not None and not cell.reasons and late > 0.005:
            found.append(
                f"{name}: the harness sent operations up to {format_duration(late)} late (p99); latencies counted from "
                "the due time contain that."
            )
    return found


def _about_samples(plan: Plan, cells: Sequence[CellAnalysis], claims: Sequence[ClaimSummary]) -> list[str]:
    found = []
    trials = plan.experiment.trials
    if trials == 1:
        found.append("One trial per variant: nothing is known about how much another run would differ.")
    elif trials < FEWEST_TRIALS:
        found.append(f"{trials} trials per variant: below {FEWEST_TRIALS} no interval is given.")
    whole = [one for cell in cells for one in cell.stats if one.cls == EVERY and one.window.name == "whole"]
    unknown = sum(one.info for one in whole)
    if unknown:
        found.append(
            f"{many(unknown, 'operation has', 'operations have')} an unknown outcome: nobody knows whether they "
            "happened, and no check accuses or acquits them."
        )
    exposed = [f.exposed for claim in claims for f in claim.findings if f.verdict == "held" and f.exposed]
    if exposed:
        least = min(exposed)
        rate = most_per_operation(least)
        found.append(
            f"No anomaly in {format_count(least)} exposed operations still allows a rate of {rate:.2g} per operation "
            "(3/n, at 95 %, were they independent)."
        )
    return found


def _about_faults(plan: Plan) -> list[str]:
    found = []
    if any(injection.fault in ("kill", "restart") for injection in plan.injections):
        found.append(
            "A killed process is not a power failure: what it had handed to the operating system survived, so whether "
            "data is synced to disk was not tested."
        )
    if plan.toxiproxy != "embedded":
        found.append("Jitter and toxicity of this proxy are not seeded: another run draws others.")
        found.append("How late the proxy itself ran was not measured: the original Toxiproxy does not say.")
    return found
