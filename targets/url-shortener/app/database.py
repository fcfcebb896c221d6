"""The links in PostgreSQL: where they live for good."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout, TooManyRequests

from app.errors import Overloaded, Unavailable
from app.settings import Settings

# One statement each, so that the cost of a query (see settings.py) occupies the connection that does the work.
FIND = "SELECT (SELECT url FROM links WHERE code = %s), pg_sleep(%s)"
ADD = """
    WITH added AS (INSERT INTO links (code, url) VALUES (%s, %s) ON CONFLICT (code) DO NOTHING RETURNING code)
    SELECT (SELECT count(*) FROM added), pg_sleep(%s)
"""
ADD_MANY = """
    WITH added AS (
        INSERT INTO links (code, url) SELECT * FROM unnest(%s::text[], %s::text[]) ON CONFLICT (code) DO NOTHING
    )
    SELECT pg_sleep(%s)
"""
CREATE = "CREATE TABLE IF NOT EXISTS links (code text PRIMARY KEY, url text NOT NULL)"
CREATE_LOCK = "SELECT pg_advisory_xact_lock(hashtext('links'))"  # two instances may start at once


class Database:
    """A pool of connections, and the few things that are asked of it.

    Every method raises `Unavailable` when the database did not answer within the timeout, and `Overloaded` when too
    many requests wait for a connection already.
    """

    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.db_timeout
        self._cost = settings.query_cost
        self._pool = AsyncConnectionPool(
            settings.database_url,
            min_size=settings.pool_size,
            max_size=settings.pool_size,
            max_waiting=settings.queue_limit,
            reconnect_timeout=0.5,  # then the next request that needs one tries again: no backoff outlives an outage
            open=False,
            kwargs={
                "autocommit": True,
                "prepare_threshold": None,  # preparing is a round trip of its own
                "connect_timeout": max(2, round(settings.db_timeout)),  # psycopg takes no less than 2
                "options": f"-c statement_timeout={round(settings.db_timeout * 1000)}",
            },
        )

    async def open(self) -> None:
        """Wait until the database is there, however long it takes, and make the table."""
        await self._pool.open()
        said = False
        while True:
            try:
                async with self._connection() as connection, connection.transaction():
                    await connection.execute(CREATE_LOCK)
                    await connection.execute(CREATE)
                return
            except Unavailable as error:
                if not said:
                    print(f"waiting for the database: {error}", flush=True)
                    said = True
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close(timeout=1)

    async def find(self, code: str) -> str | None:
        """The URL; None when the database says that there is no such code."""
        row = await self._row(FIND, (code, self._cost))
        return None if row[0] is None else str(row[0])

    async def add(self, code: str, url: str) -> bool:
        """Whether it was added: False when the code is taken."""
        return bool((await self._row(ADD, (code, url, self._cost)))[0])

    async def add_many(self, links: Sequence[tuple[str, str]]) -> None:
        """Add those codes and URLs that are not there yet."""
        codes, urls = zip(*links, strict=True)
        await self._row(ADD_MANY, (list(codes), list(urls), self._cost))

    async def ping(self) -> None:
        """Ask for nothing."""
        await self._row("SELECT 1", ())

    async def _row(self, statement: str, parameters: tuple[Any, ...]) -> tuple[Any, ...]:
        async with self._connection() as connection:
            row: tuple[Any, ...] | None = await (await connection.execute(statement, parameters)).fetchone()
            assert row is not None, "every statement here answers one row"
            return row

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A connection: waiting for one and using it may take the timeout each; when the second is over, it is cut.

        Cancelling the query instead would ask the server to stop it, over the very link that may be hanging, and keep
        the caller waiting for the answer. A cut connection is discarded by the pool, so that no late answer is ever
        taken for the answer to another query; the server ends the query by its own statement_timeout.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        try:
            connection = await self._pool.getconn(timeout=self._timeout)
            while _is_stale(connection):
                await connection.close()
                await self._pool.putconn(connection)
                connection = await self._pool.getconn(timeout=max(0.0, deadline - loop.time()))
            deadline = loop.time() + self._timeout
            cutter = loop.call_at(deadline, _cut, connection)
            try:
                yield connection
            finally:
                cutter.cancel()
                await self._pool.putconn(connection)
        except TooManyRequests as error:
            raise Overloaded(str(error)) from error
        except PoolTimeout as error:
            raise Unavailable(f"database: no connection within {self._timeout:g} s") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            late = loop.time() >= deadline
            why = f"no answer within {self._timeout:g} s" if late else str(error).strip().splitlines()[0]
            raise Unavailable(f"database: {why}") from error


def _is_stale(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Whether the server has closed an idle connection: nothing else makes it readable. Costs no round trip."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _cut(connection: psycopg.AsyncConnection[Any]) -> None:
    """Shut the socket down, which wakes whoever waits for it. (Closing it here would pull it from under the loop.)"""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as handle:
        handle.shutdown(socket.SHUT_RDWR)
