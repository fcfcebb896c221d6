"""What a probe found, as frozen data."""

from __future__ import annotations

from typing import Literal

from chaoskit.data import Frozen

__all__ = ["Kind", "ProbeResult"]

Kind = Literal["answered", "refused", "reset", "closed", "silent", "error"]


class ProbeResult(Frozen):
    """One ask of one endpoint.

    Attributes:
        kind: answered (something came back, be it an error) · refused (the connect was) · reset (RST) · closed (end of
            file before an answer) · silent (nothing within the timeout) · error (anything else, `detail` says what).
        rtt: seconds from the request to the first byte of the answer, connect not counted: Toxiproxy never delays a
            connect, so that only this shows a latency. None where nothing was asked (tcp) or nothing came.
        detail: what came back, in a few words ("HTTP 503", "-LOADING ...", "connect hung").
        ready: the endpoint answered and says that it takes work.
        took: seconds until the answer was whole, or until the end that was waited for.
        sent, size, reads: bytes of the request, bytes of the answer as far as it came, reads that they came in.
        segments: with data that they came in, as the kernel has counted them; 0 where it does not.
    """

    kind: Kind
    rtt: float | None = None
    detail: str = ""
    ready: bool = False
    took: float | None = None
    sent: int = 0
    size: int = 0
    reads: int = 0
    segments: int = 0
