"""The embedded Toxiproxy: the same REST API, toxics and fault semantics, as one asyncio process.

Run it with `chaoskit toxiproxy`. From the wire up: `connection` moves bytes, `stage` and `toxics` bend them, `proxies`
is what is configured, `api` answers requests that `http` has read, `process` ties them to a loop as `flags` say.
"""
