"""A realistic analysis of two variants, made by hand: what the engine and the checks would have left behind.

`impatient` refuses while the database is slow, loses a link and answers late; `patient` holds, with one claim that
nobody can judge. For the unit tests of reports and the browser test.
"""

from __future__ import annotations

from report_sample.asked import CLAIMS, DOWN, ENVIRONMENT, EXPERIMENT_TEXT, SLOW, plan
from report_sample.judged import analysis, cell, empty, findings, stored
from report_sample.measured import series

__all__ = [
    "CLAIMS",
    "DOWN",
    "ENVIRONMENT",
    "EXPERIMENT_TEXT",
    "SLOW",
    "analysis",
    "cell",
    "empty",
    "findings",
    "plan",
    "series",
    "stored",
]
