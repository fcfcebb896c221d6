"""/metrics: Prometheus text, with the original's names and labels where there is the same thing to count.

The original adds a connection's bytes when the connection ends, so that a pool of connections shows nothing for hours.
Here they are counted as they pass. What the original says of Go's runtime has no counterpart: the figures of this
process are those that every Prometheus client gives, and those of the interpreter are named as Python's client does.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from chaoskit.toxiproxy.server.proxies import Proxies, Proxy
from chaoskit.toxiproxy.server.stage import DIRECTIONS

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
_Labels = tuple[str, str, str, str]  # direction, listener, proxy, upstream: the order in which they are written


class Metrics:
    """Counts per proxy, kept when a proxy is moved or deleted: a counter never falls.

    Args:
        of_proxies, of_runtime: which figures are asked for; without either there is no /metrics.
    """

    def __init__(self, proxies: Proxies, *, of_proxies: bool, of_runtime: bool) -> None:
        self._proxies = proxies
        self._of_proxies = of_proxies
        self._of_runtime = of_runtime
        self._totals: dict[str, Counter[_Labels]] = {"received": Counter(), "sent": Counter()}
        self._counted: dict[Proxy, dict[tuple[str, str], int]] = {}  # what of each proxy is in the totals already

    @property
    def wanted(self) -> bool:
        """Whether there is anything to show."""
        return self._of_proxies or self._of_runtime

    def settle(self) -> None:
        """Count what has passed. Called around every change, while the labels are still, or again, true."""
        if not self._of_proxies:
            return
        there = set(self._proxies.by_name.values())
        for proxy in there | self._counted.keys():
            self._add(proxy)
        self._counted = {proxy: counted for proxy, counted in self._counted.items() if proxy in there}

    def _add(self, proxy: Proxy) -> None:
        if not proxy.accepted:
            return
        counted = self._counted.setdefault(proxy, {})
        for direction, flow in zip(DIRECTIONS, proxy.flows, strict=True):
            labels = (direction, proxy.listen, proxy.name, proxy.upstream)
            for what, now in (("received", flow.received), ("sent", flow.sent)):
                self._totals[what][labels] += now - counted.get((direction, what), 0)
                counted[direction, what] = now

    def text(self) -> bytes:
        """The whole page."""
        self.settle()
        lines: list[str] = []
        if self._of_runtime:
            lines += _process()
        if self._of_proxies:
            for what, totals in self._totals.items():
                name = f"toxiproxy_proxy_{what}_bytes_total"
                lines += _family(
                    name,
                    "counter",
                    "",
                    (
                        (
                            f'{{direction="{d}",listener="{_quoted(li)}",proxy="{_quoted(p)}",upstream="{_quoted(u)}"}}',
                            v,
                        )
                        for (d, li, p, u), v in sorted(totals.items())
                    ),
                )
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _family(name: str, kind: str, about: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    lines = [f"{name}{labels} {value}" for labels, value in samples]
    if lines:  # as the original: what has no sample is not mentioned
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} {kind}"
        yield from lines


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _process() -> Iterator[str]:
    """CPU time, descriptors and memory of this process, as Linux tells them; and the interpreter's collector."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    # After the name in brackets, which may hold anything: field 3 of proc(5) is the first here.
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    boot = next(
        int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime")
    )
    soft_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft_memory, _ = resource.getrlimit(resource.RLIMIT_AS)
    unlimited = 2**64 - 1
    names, values = (
        line.split() for line in Path("/proc/self/net/netstat").read_text().splitlines() if line.startswith("IpExt:")
    )
    octets = dict(zip(names, values, strict=True))  # of the network namespace, as Prometheus clients count it
    for name, kind, about, value in (
        ("cpu_seconds_total", "counter", "CPU time used, in seconds.", (int(stat[11]) + int(stat[12])) / ticks),
        ("max_fds", "gauge", "Open file descriptors allowed.", soft_files),
        ("network_receive_bytes_total", "counter", "Bytes received over IP, in all.", int(octets["InOctets"])),
        ("network_transmit_bytes_total", "counter", "Bytes sent over IP, in all.", int(octets["OutOctets"])),
        ("open_fds", "gauge", "Open file descriptors.", len(list(Path("/proc/self/fd").iterdir())) - 1),
        ("resident_memory_bytes", "gauge", "Resident memory, in bytes.", int(stat[21]) * page),
        ("start_time_seconds", "gauge", "When the process started, in Unix time.", boot + int(stat[19]) / ticks),
        ("virtual_memory_bytes", "gauge", "Virtual memory, in bytes.", int(stat[20])),
        (
            "virtual_memory_max_bytes",
            "gauge",
            "Virtual memory allowed, in bytes.",
            unlimited if soft_memory == resource.RLIM_INFINITY else soft_memory,
        ),
    ):
        yield from _family(f"process_{name}", kind, about, [("", value)])
    yield from _family(
        "python_gc_collections_total",
        "counter",
        "Collections of each generation.",
        [(f'{{generation="{number}"}}', found["collections"]) for number, found in enumerate(gc.get_stats())],
    )
    labels = f'{{implementation="{platform.python_implementation()}",version="{platform.python_version()}"}}'
    yield from _family("python_info", "gauge", "Which Python this is.", [(labels, 1)])
