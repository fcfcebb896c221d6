"""The links in Valkey: quick to read, and gone when it is."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from typing import Any

import valkey.asyncio
from valkey.exceptions import ValkeyError

from app.errors import Unavailable
from app.settings import Settings

DIRTY = "dirty"  # `code url` of every link that the database lacks, by the time at which it was acknowledged


class Cache:
    """Every method raises `Unavailable` when the cache did not answer within the timeout."""

    def __init__(self, settings: Settings) -> None:
        self._client = valkey.asyncio.Valkey.from_url(
            settings.cache_url,
            decode_responses=True,
            socket_timeout=settings.cache_timeout,
            socket_connect_timeout=settings.cache_timeout,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def get(self, code: str) -> str | None:
        """The URL, or None when it is not cached."""
        url: str | None = await self._do(self._client.get(_key(code)))
        return url

    async def put(self, code: str, url: str) -> None:
        """Keep it."""
        await self._do(self._client.set(_key(code), url))

    async def forget(self, code: str) -> None:
        """Drop what is kept of a code."""
        await self._do(self._client.delete(_key(code)))

    async def put_dirty(self, code: str, url: str) -> None:
        """Keep it and note that the database lacks it: both or neither."""
        async with self._client.pipeline(transaction=True) as both:
            both.set(_key(code), url)
            both.zadd(DIRTY, {f"{code} {url}": time.time()})
            await self._do(both.execute())

    async def dirty(self, older_than: float, limit: int = 500) -> list[str]:
        """`code url` of links that the database has lacked for that many seconds, the oldest first."""
        until = time.time() - older_than
        found: list[str] = await self._do(self._client.zrange(DIRTY, "-inf", until, byscore=True, offset=0, num=limit))
        return found

    async def clean(self, links: Sequence[str]) -> None:
        """Note that the database has them now."""
        await self._do(self._client.zrem(DIRTY, *links))

    async def ping(self) -> None:
        """Ask for nothing."""
        await self._do(self._client.ping())

    async def _do(self, answer: Awaitable[Any]) -> Any:
        try:
            return await answer
        except (ValkeyError, OSError) as error:
            raise Unavailable(f"cache: {str(error) or type(error).__name__}") from error


def _key(code: str) -> str:
    return f"link:{code}"
