"""When the cache is written: four classic answers, and what each of them costs.

                  create writes                     resolve reads
    cache-aside   database, then drops the entry    cache, else database and fills the cache
    write-through database, then cache              the same
    write-around  database                          the same
    write-back    cache; the database later         the same

Links never change, so that an entry can be missing but never be wrong. Whatever the first three acknowledged is in the
database; what write-back acknowledged is in the cache alone for a while, and is lost with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import string

from app.cache import Cache
from app.database import Database
from app.errors import Overloaded, Unavailable
from app.settings import Settings

LOG = logging.getLogger(__name__)
ALPHABET = string.ascii_letters + string.digits
CODE_LENGTH = 10  # 62^10: two links with one code are not to be expected, and the primary key would refuse the second


class Strategy:
    """What all have in common: how a link is resolved, and what is done without the cache."""

    def __init__(self, settings: Settings, database: Database, cache: Cache) -> None:
        self.database = database
        self.cache = cache
        self._settings = settings

    async def create(self, url: str) -> str:
        """Make a code for the URL and write both to the database; when it returns, the link is acknowledged."""
        while True:
            code = _new_code()
            if await self.database.add(code, url):
                return code

    async def resolve(self, code: str) -> str | None:
        """The URL; None only when the database says that there is no such code."""
        try:
            url = await self.cache.get(code)
        except Unavailable:
            self._without_cache()
            return await self.database.find(code)
        if url is None:
            url = await self.database.find(code)
            if url is not None:
                with contextlib.suppress(Unavailable):  # it is resolved; the next one will fill the cache
                    await self.cache.put(code, url)
        return url

    async def run(self) -> None:
        """Work beside the requests, until cancelled."""

    def _without_cache(self) -> None:
        """Call it while handling the cache's error: raises that where the cache is required."""
        if self._settings.cache_required:
            raise


class WriteAround(Strategy):
    """Creating does not touch the cache: it works without, and the first resolve is slow."""


class CacheAside(Strategy):
    """The application keeps the cache: writes drop the entry, reads fill it."""

    async def create(self, url: str) -> str:
        """Write to the database, then drop what the cache may have."""
        code = await super().create(url)
        try:
            await self.cache.forget(code)
        except Unavailable:
            self._without_cache()
        return code


class WriteThrough(Strategy):
    """Every link is in both places when it is acknowledged: slower to create, always quick to resolve."""

    async def create(self, url: str) -> str:
        """Write to the database, then to the cache."""
        code = await super().create(url)
        try:
            await self.cache.put(code, url)
        except Unavailable:
            self._without_cache()
        return code


class WriteBack(Strategy):
    """Acknowledged when it is in the cache; the database gets it `flush_delay` later.

    Creating is quick and goes on while the database is slow or down. The price: a cache that dies takes everything
    with it that was acknowledged during the last `flush_delay`.
    """

    async def create(self, url: str) -> str:
        """Write to the cache alone."""
        code = _new_code()
        try:
            await self.cache.put_dirty(code, url)
        except Unavailable:
            self._without_cache()
            # The cache may have it all the same: then the same link is flushed a second time, which changes nothing.
            if not await self.database.add(code, url):
                raise Unavailable("database: the code is taken") from None
        return code

    async def run(self) -> None:
        """Flush what is due. A flush that fails is done again: the list is shortened last."""
        while True:
            try:
                while links := await self.cache.dirty(self._settings.flush_delay):
                    pairs = (link.partition(" ") for link in links)
                    await self.database.add_many([(code, url) for code, _, url in pairs])
                    await self.cache.clean(links)
            except (Unavailable, Overloaded):
                pass  # it will be tried again
            except Exception:
                LOG.exception("a flush failed in a way that was not expected; trying again")
                await asyncio.sleep(1)
            await asyncio.sleep(0.1)


STRATEGIES: dict[str, type[Strategy]] = {
    "cache-aside": CacheAside,
    "write-through": WriteThrough,
    "write-around": WriteAround,
    "write-back": WriteBack,
}


def _new_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
