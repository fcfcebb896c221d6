"""The design decisions, as environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

STRATEGIES = ("cache-aside", "write-through", "write-around", "write-back")


@dataclass(frozen=True)
class Settings:
    """How this API was told to behave. Durations are seconds.

    Attributes:
        strategy: when the cache is written, see strategies.py.
        db_timeout: time to wait for a connection to the database, to make one, and for the answer to a statement: each.
        pool_size: connections to the database.
        queue_limit: requests that may wait for a connection; one more is turned away at once. 0 = any number waits.
        query_cost: time that each statement occupies its connection in addition. It stands for what a bigger table, a
            slower disk or a worse plan would cost; with the pool it makes a capacity (size / cost) that needs no CPU.
        cache_timeout: time for one use of the cache.
        cache_required: answer 503 when the cache cannot be used, instead of going on with the database alone.
        flush_delay: write-back only: age at which an acknowledged link is written to the database.
    """

    database_url: str
    cache_url: str
    strategy: str = "cache-aside"
    db_timeout: float = 5.0
    pool_size: int = 16
    queue_limit: int = 0
    query_cost: float = 0.0
    cache_timeout: float = 0.25
    cache_required: bool = False
    flush_delay: float = 2.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read and check.

        Raises:
            ValueError: a variable is missing or cannot be read; the message names it.
        """
        for name in ("DATABASE_URL", "CACHE_URL"):
            if not environment.get(name):
                raise ValueError(f"{name} is not set")
        return cls(
            database_url=environment["DATABASE_URL"],
            cache_url=environment["CACHE_URL"],
            strategy=_choice(environment, "CACHE_STRATEGY", STRATEGIES),
            db_timeout=_seconds(environment, "DB_TIMEOUT", "5s"),
            pool_size=_whole(environment, "POOL_SIZE", "16", least=1),
            queue_limit=_whole(environment, "QUEUE_LIMIT", "0", least=0),
            query_cost=_seconds(environment, "QUERY_COST", "0ms"),
            cache_timeout=_seconds(environment, "CACHE_TIMEOUT", "250ms"),
            cache_required=_choice(environment, "CACHE_DOWN", ("fallback", "fail")) == "fail",
            flush_delay=_seconds(environment, "FLUSH_DELAY", "2s"),
        )


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = environment.get(name) or choices[0]
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it is one of {', '.join(choices)}")
    return value


def _seconds(environment: Mapping[str, str], name: str, default: str) -> float:
    value = environment.get(name) or default
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", value)
    if not found:
        raise ValueError(f"{name} is {value!r}; write a duration such as 250ms or 5s")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def _whole(environment: Mapping[str, str], name: str, default: str, least: int) -> int:
    value = environment.get(name) or default
    if not value.isdecimal() or int(value) < least:
        raise ValueError(f"{name} is {value!r}; write a whole number, {least} or more")
    return int(value)
