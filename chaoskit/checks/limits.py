"""Every bound that decides whether a figure may carry a verdict, on one page, each with its reason."""

from __future__ import annotations

__all__ = [
    "BASELINE_OPERATIONS",
    "LAG_LIMIT",
    "LATENESS_LIMIT",
    "MINIMUM_OPERATIONS",
    "POWER_SECONDS",
    "RECOVERY_BINS",
    "RECOVERY_SLOWER",
    "RECOVERY_YIELD",
    "SLOW_FLOOR",
    "STALL_LIMIT",
    "UNSENT_LIMIT",
    "WITNESS_SIZE",
]

# Below this a share moves by more than one percentage point with a single operation, and a p99 is the maximum.
MINIMUM_OPERATIONS = 100

# Operations that the harness did not send say nothing about the system. Up to one in a thousand cannot turn a claim of
# the usual "99 %" kind; beyond it, what was not sent may be just what would have failed.
UNSENT_LIMIT = 0.001

# What is sent 50 ms late arrives in another system state than the schedule meant; the worker gives up waiting for a
# free slot at the same bound. Seconds, p99 over the cell.
LATENESS_LIMIT = 0.050

# The proxy's and the workers' loop lag, sampled every 100 ms, is added to every operation that passes. Where one sample
# in a hundred is above the send bound, latencies of tens of milliseconds are the harness's own. Seconds, p99.
LAG_LIMIT = 0.050

# One stall of this length can by itself push operations past a short budget. Seconds, maximum.
STALL_LIMIT = 0.500

# Recovered: yield and p99 back within 5 % and twice their value before the fault, for three windows in a row.
RECOVERY_YIELD = 0.95
RECOVERY_SLOWER = 2.0
RECOVERY_BINS = 3

# Twice a p99 of 3 ms is one scheduling stall on a machine that clients and system share: what is faster than twice the
# harness's own send bound is never called slow. Seconds.
SLOW_FLOOR = 2 * LATENESS_LIMIT

# Before the fault fewer operations will do: their p99 may be the maximum, which only makes “twice of it” more lenient.
BASELINE_OPERATIONS = 50

# For planting bugs in the history of one claim: an analysis of many cells has to end.
POWER_SECONDS = 10.0

# More operations than this in a witness of a share or a latency prove nothing more.
WITNESS_SIZE = 3
