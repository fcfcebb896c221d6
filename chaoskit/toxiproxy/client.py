"""A typed client of Toxiproxy's REST API: blocking and asynchronous, one surface, every call bounded in time.

    with Client("http://127.0.0.1:8474") as toxiproxy:
        toxiproxy.create("db", listen="127.0.0.1:0", upstream="127.0.0.1:5432")
        toxiproxy.add_toxic("db", Toxic(name="slow", type="latency", attributes={"latency": 200}))

What the verbs take, do and raise is documented in `flows.py`; every failure is a ToxiproxyError.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from chaoskit.toxiproxy import flows
from chaoskit.toxiproxy.flows import Flow, Reply, Request, ToxiproxyError

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncClient", "Client", "ToxiproxyError"]

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(verb: Callable[P, Flow[T]]) -> Callable[Concatenate[Client, P], T]:
    @functools.wraps(verb)
    def call(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(verb(*args, **kwargs))

    return call


def _awaited(verb: Callable[P, Flow[T]]) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    @functools.wraps(verb)
    async def call(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(verb(*args, **kwargs))

    return call


class Client:
    """The blocking client.

    Args:
        url: of the REST API, `http://host:port`.
        timeout: seconds for each request, connecting included.
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
                except httpx.HTTPError as error:
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

    version = _blocking(flows.version)
    proxies = _blocking(flows.proxies)
    get = _blocking(flows.get)
    create = _blocking(flows.create)
    populate = _blocking(flows.populate)
    update = _blocking(flows.update)
    delete = _blocking(flows.delete)
    toxics = _blocking(flows.toxics)
    get_toxic = _blocking(flows.get_toxic)
    add_toxic = _blocking(flows.add_toxic)
    update_toxic = _blocking(flows.update_toxic)
    remove_toxic = _blocking(flows.remove_toxic)
    reset = _blocking(flows.reset)
    counters = _blocking(flows.counters)


class AsyncClient:
    """The asynchronous client; its connections belong to the loop that used it first.

    Args:
        url: of the REST API, `http://host:port`.
        timeout: seconds for each request, connecting included.
    """

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        import httpx

        self.url = url.rstrip("/")
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
                    reply = _reply(await self._http.request(request.method, request.path, json=request.body))
                except httpx.HTTPError as error:
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

    version = _awaited(flows.version)
    proxies = _awaited(flows.proxies)
    get = _awaited(flows.get)
    create = _awaited(flows.create)
    populate = _awaited(flows.populate)
    update = _awaited(flows.update)
    delete = _awaited(flows.delete)
    toxics = _awaited(flows.toxics)
    get_toxic = _awaited(flows.get_toxic)
    add_toxic = _awaited(flows.add_toxic)
    update_toxic = _awaited(flows.update_toxic)
    remove_toxic = _awaited(flows.remove_toxic)
    reset = _awaited(flows.reset)
    counters = _awaited(flows.counters)


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
