"""The HTTP API.

    POST /links {"url": "https://…"}   201 {"code": "…"}
    GET  /links/{code}                 200 {"code": "…", "url": "https://…"}   404 when there is no such link
    GET  /healthz                      200 when both dependencies answer, else 503; the body says which does not

A request that could not be served is a 503: with {"error": "overloaded"} it was turned away before anything was done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.cache import Cache
from app.database import Database
from app.errors import Overloaded, Unavailable
from app.settings import Settings
from app.strategies import STRATEGIES, Strategy

LONGEST_URL = 2048
LONGEST_BODY = 8192


def make_app(settings: Settings) -> Starlette:
    """The application; its lifespan opens and closes what it depends on."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        database, cache = Database(settings), Cache(settings)
        await database.open()
        app.state.strategy = STRATEGIES[settings.strategy](settings, database, cache)
        beside = asyncio.create_task(app.state.strategy.run())
        try:
            yield
        finally:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
            await cache.close()
            await database.close()

    return Starlette(
        routes=[
            Route("/links", create, methods=["POST"]),
            Route("/links/{code}", resolve),
            Route("/healthz", healthz),
        ],
        lifespan=lifespan,
        exception_handlers={Unavailable: unavailable, Overloaded: overloaded},
    )


def strategy(request: Request) -> Strategy:
    """What this instance was told to do."""
    found: Strategy = request.app.state.strategy
    return found


async def create(request: Request) -> Response:
    """Shorten a URL."""
    url = url_in(await request.body())
    if url is None:
        return JSONResponse({"error": 'the body is {"url": "http(s)://…"}'}, 400)
    return JSONResponse({"code": await strategy(request).create(url)}, 201)


async def resolve(request: Request) -> Response:
    """Look a code up."""
    code = request.path_params["code"]
    url = await strategy(request).resolve(code) if is_code(code) else None
    return JSONResponse({"error": "no such link"}, 404) if url is None else JSONResponse({"code": code, "url": url})


async def healthz(request: Request) -> Response:
    """Say which dependency answers now."""
    chosen = strategy(request)
    states = await asyncio.gather(state(chosen.database.ping()), state(chosen.cache.ping()))
    report = dict(zip(("database", "cache"), states, strict=True))
    return JSONResponse(report, 200 if set(states) == {"up"} else 503)


async def state(ping: Awaitable[None]) -> str:
    """`up`, or what is wrong."""
    try:
        await ping
    except (Unavailable, Overloaded) as error:
        return str(error)
    return "up"


def is_code(text: str) -> bool:
    """Whether this could be a code at all."""
    return text.isascii() and text.isalnum() and len(text) <= 64


def url_in(body: bytes) -> str | None:
    """The URL in a request's body, or None when the body is not what it should be."""
    if len(body) > LONGEST_BODY:
        return None
    try:
        url = json.loads(body)["url"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    proper = isinstance(url, str) and url.startswith(("http://", "https://")) and len(url) <= LONGEST_URL
    return url if proper and url.isprintable() else None


async def unavailable(request: Request, error: Exception) -> Response:
    """A dependency failed: nobody knows whether a write happened."""
    return JSONResponse({"error": str(error)}, 503)


async def overloaded(request: Request, error: Exception) -> Response:
    """Turned away: nothing happened."""
    return JSONResponse({"error": "overloaded"}, 503, headers={"Retry-After": "1"})
