"""How to talk to what is up: one line per link that can be copied to a shell. Pure."""

from __future__ import annotations

import shlex

from chaoskit.stack.topology import Protocol, Service

__all__ = ["how_to_talk"]


def how_to_talk(
    host: str, port: int, protocol: Protocol, path: str, service: Service, *, for_clients: bool = True
) -> str:
    """A command that talks to `service` through the link at host:port; passwords are left to the tool to ask for.

    Args:
        for_clients: the link leads to the service's first port, where its clients dial, not its peers.
    """
    if for_clients and (service.server == "etcd" or "etcd" in (service.image or "")):
        return f"etcdctl --endpoints=http://{host}:{port} endpoint status"
    if protocol in ("http", "https"):
        insecure = "" if protocol == "http" else " --insecure"  # its certificate is not for this address
        return f"curl -i{insecure} {shlex.quote(f'{protocol}://{host}:{port}{path}')}"
    if protocol in ("resp", "resp+tls"):
        return f"valkey-cli -h {host} -p {port}{'' if protocol == 'resp' else ' --tls --insecure'}"
    if protocol == "postgres":
        user = service.environment.get("POSTGRES_USER", "postgres")
        database = service.environment.get("POSTGRES_DB", user)
        return f"psql {shlex.quote(f'postgresql://{user}@{host}:{port}/{database}')}"
    return f"nc {host} {port}"
