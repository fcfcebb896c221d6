"""A typed client of Toxiproxy's REST API: blocking and asynchronous, one surface, every call bounded in time.

    with Client("http://127.0.0.1:8474") as toxiproxy:
        toxiproxy.create("db", listen="127.0.0.1:0", upstream="127.0.0.1:5432")
        toxiproxy.add_toxic("db", Toxic(name="slow", type="latency", attributes={"latency": 200}))

What the verbs take, do and raise is documented in `flows.py`; every failure is a ToxiproxyError.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, overload

from chaoskit.toxiproxy import flows
from chaoskit.toxiproxy.flows import Flow, Reply, Request, ToxiproxyError

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncClient", "Client", "ToxiproxyError"]

_AT_ONCE = 4  # requests under way in one asynchronous client: more of them only wait for each other's processor time

P = ParamSpec("P")
T = TypeVar("T")


class _Verb(Generic[P, T]):
    """One verb as a method of both clients: of the blocking one a plain call, of the other a coroutine."""

    def __init__(self, flow: Callable[P, Flow[T]]) -> None:
        self._flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, client: Client, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: None, owner: type) -> Self: ...

    def __get__(self, client: Client | AsyncClient | None, owner: type) -> object:
        if client is None:
            return self

        @functools.wraps(self._flow)
        def call(*args: P.args, **kwargs: P.kwargs) -> T | Coroutine[Any, Any, T]:
            return client.run(self._flow(*args, **kwargs))

        return call


class _Verbs:
    """The whole API, listed once."""

    version = _Verb(flows.version)
    proxies = _Verb(flows.proxies)
    get = _Verb(flows.get)
    create = _Verb(flows.create)
    populate = _Verb(flows.populate)
    update = _Verb(flows.update)
    delete = _Verb(flows.delete)
    toxics = _Verb(flows.toxics)
    get_toxic = _Verb(flows.get_toxic)
    add_toxic = _Verb(flows.add_toxic)
    update_toxic = _Verb(flows.update_toxic)
    remove_toxic = _Verb(flows.remove_toxic)
    reset = _Verb(flows.reset)
    metrics = _Verb(flows.metrics)
    counters = _Verb(flows.counters)


class Client(_Verbs):
    """The blocking client.

    Args:
        url: of the REST API, `http://host:port`.
        timeout: seconds for each request: to connect, and for every wait for more of the answer.
    """

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        import httpx

        self.url = url.rstrip("/")
        self._http = httpx.Client(**_settings(self.url, timeout))

    def run(self, flow: Flow[T]) -> T:
        """Carry out a flow of requests.

        Raises:
            ToxiproxyError: refused, no answer in time, or not as asked.
        """
        import httpx

        try:
            request = next(flow)
            while True:
                try:
                    reply = _reply(self._http.request(request.method, request.path, json=request.body))
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    raise _no_answer(self.url, request, error) from error
                request = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class AsyncClient(_Verbs):
    """The asynchronous client; its connections belong to the loop that used it first.

    Args:
        url: of the REST API, `http://host:port`.
        timeout: seconds for each request as a whole.
    """

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        import httpx

        self.url = url.rstrip("/")
        self._timeout = timeout
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._http = httpx.AsyncClient(**_settings(self.url, timeout))

    async def run(self, flow: Flow[T]) -> T:
        """Carry out a flow of requests.

        Raises:
            ToxiproxyError: refused, no answer in time, or not as asked.
        """
        import httpx

        try:
            request = next(flow)
            while True:
                try:
                    # Waiting for a turn does not count as waiting for the server.
                    async with self._turn, asyncio.timeout(self._timeout):
                        reply = _reply(await self._http.request(request.method, request.path, json=request.body))
                except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                    raise _no_answer(self.url, request, error) from error
                request = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()


def _settings(url: str, timeout: float) -> dict[str, Any]:
    # Proxies and certificates of the environment are nothing to a control port. Loading certificates costs 25 ms, so
    # they are loaded only where they are asked for.
    return {
        "base_url": url,
        "timeout": timeout,
        "trust_env": False,
        "verify": url.startswith("https:"),
        "headers": {"User-Agent": "chaoskit"},
    }


def _reply(answer: httpx.Response) -> Reply:
    try:
        body = answer.json() if answer.content else None
    except ValueError:
        body = answer.text
    return Reply(answer.status_code, body)


def _no_answer(url: str, request: Request, error: Exception) -> ToxiproxyError:
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ToxiproxyError(
        f"{request.method} {request.path}: no answer from the Toxiproxy at {url} ({reason})",
        hint="see whether it is running and whether this is its control address",
    )
