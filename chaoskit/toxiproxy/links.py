"""Links bent by a Toxiproxy: one proxy a link, named by the link's id (`api->db:5432`)."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from chaoskit import linux
from chaoskit.stack.effects import LinkState, Toxic
from chaoskit.stack.launch import ProxySpec
from chaoskit.toxiproxy import flows
from chaoskit.toxiproxy.client import AsyncClient
from chaoskit.toxiproxy.flows import Flow, ToxiproxyError
from chaoskit.toxiproxy.model import LinkCounters, Proxy, same_toxic, same_toxics

__all__ = ["ToxiproxyLinks", "server_argv"]

_log = logging.getLogger(__name__)


def server_argv(host: str, port: int, lag_file: str | None, seed: int | None) -> tuple[str, ...]:
    """Argument list that starts the embedded proxy: for the LaunchSpec of a stack's proxy process."""
    argv = [sys.executable, "-m", "chaoskit.toxiproxy.server", "--host", host, "--port", str(port)]
    if lag_file is not None:
        argv += ["--lag-file", lag_file]
    if seed is not None:
        argv += ["--seed", str(seed)]
    return tuple(argv)


class ToxiproxyLinks:
    """LinkControl over the REST API of a Toxiproxy, embedded or real.

    Args:
        control: host:port of the REST API.
        timeout: seconds for each request.
    """

    def __init__(self, control: str, *, timeout: float = 5.0) -> None:
        self._client = AsyncClient(f"http://{control}", timeout=timeout)
        self._upstreams: dict[str, str] = {}  # as made

    async def create(self, proxies: Sequence[ProxySpec]) -> None:
        """Make the cut points, clean: enabled and without toxics, also where they were there before.

        Raises:
            LinkError: an address is taken or unknown, no answer, or one reads back otherwise.
        """
        found = await self._client.populate(proxies)
        self._upstreams.update((proxy.name, proxy.upstream) for proxy in proxies)
        for name, proxy in found.items():
            if proxy.state != LinkState():
                await self.apply(name, LinkState())

    async def apply(self, link: str, state: LinkState) -> LinkState:
        """Bring the link into `state` and return what was read back; only what differs is changed. A link that somebody
        has led elsewhere meanwhile leads where it was made for again.

        Raises:
            LinkError: the server refused, did not answer in time, or reads back otherwise.
        """
        return await self._client.run(_apply(link, state, self._upstreams.get(link)))

    async def read(self, link: str) -> LinkState:
        """What the link is like now.

        Raises:
            LinkError: no answer, or no such link.
        """
        return (await self._client.get(link)).state

    async def heal_all(self) -> None:
        """Bring every link into its clean state, going on past errors.

        Raises:
            LinkError: the first link that could not be healed, after all were tried.
        """
        try:
            await self._client.reset()
            return
        except ToxiproxyError as error:
            trouble = error
        # The original's reset stops at the first proxy that cannot listen and leaves the others bent.
        for name in await self._client.proxies():
            try:
                await self.apply(name, LinkState())
            except ToxiproxyError as error:
                trouble = error
                continue
        if any(proxy.state != LinkState() for proxy in (await self._client.proxies()).values()):
            raise trouble

    async def counters(self) -> dict[str, LinkCounters]:
        """What each link carried; empty where the server does not count (the original).

        Raises:
            LinkError: no answer.
        """
        return await self._client.counters()

    async def aclose(self) -> None:
        """Close the control connections; the links stay as they are."""
        await self._client.aclose()


def _apply(link: str, state: LinkState, upstream: str | None) -> Flow[LinkState]:
    """Change what differs, in an order without gaps.

    A link that shall refuse is closed first and one that shall serve is opened last, so that no connection sees the
    chain half done. New toxics are added before old ones are taken out: for a moment both act, never neither.
    """
    before = yield from flows.get(link)
    if upstream is not None and before.upstream != upstream:
        _log.warning("link %s led to %s instead of %s: somebody moved it", link, before.upstream, upstream)
        yield from flows.update(link, upstream=upstream, verify=False)
    if before.enabled and not state.enabled:
        yield from flows.update(link, enabled=False, verify=False)
    plan = _Difference(before, state)
    for toxic in plan.clashing:
        yield from flows.remove_toxic(link, toxic.name, verify=False)
    for now, wanted in plan.changed:
        yield from flows.update_toxic(
            link, now, attributes=_all_attributes(now, wanted), toxicity=wanted.toxicity, verify=False
        )
    for toxic in plan.added:
        yield from flows.add_toxic(link, toxic, verify=False)
    for toxic in plan.removed:
        yield from flows.remove_toxic(link, toxic.name, verify=False)
    if state.enabled and not before.enabled:
        yield from flows.update(link, enabled=True, verify=False)
    linux.halt("applied")
    after = yield from flows.get(link)
    if after.enabled != state.enabled or not same_toxics(state.toxics, after.toxics):
        raise ToxiproxyError(f"link {link} reads back otherwise: asked [{state}], read [{after.state}]")
    return after.state


class _Difference:
    """What to do to the chains. The server adds only at the end of a chain, so what is kept must come first in it.

    Attributes:
        changed: (as it is, as it shall be) of toxics that keep their place.
        added: in order. removed: may go after the adding. clashing: must go before, their names are wanted again.
    """

    def __init__(self, before: Proxy, state: LinkState) -> None:
        kept: dict[str, tuple[Toxic, Toxic]] = {}
        self.added: list[Toxic] = []
        for stream in ("upstream", "downstream"):
            rest = iter([toxic for toxic in before.toxics if toxic.stream == stream])
            wanted = [toxic for toxic in state.toxics if toxic.stream == stream]
            while wanted:
                match = next((now for now in rest if (now.name, now.type) == (wanted[0].name, wanted[0].type)), None)
                if match is None:
                    break
                kept[match.name] = (match, wanted.pop(0))
            self.added += wanted
        self.changed = [pair for pair in kept.values() if not same_toxic(pair[1], pair[0])]
        names = {toxic.name for toxic in self.added}
        gone = [toxic for toxic in before.toxics if toxic.name not in kept]
        self.clashing = [toxic for toxic in gone if toxic.name in names]
        self.removed = [toxic for toxic in gone if toxic.name not in names]


def _all_attributes(now: Toxic, wanted: Toxic) -> dict[str, int]:
    """An update merges: what the wanted toxic leaves out must be said to be 0."""
    return {**dict.fromkeys(now.attributes, 0), **wanted.attributes}
