"""The REST API as a client of the original sees it: statuses, messages, headers, key order."""

from __future__ import annotations

import http.client
import json
import re
import socket

import pytest


class Api:
    def __init__(self, server) -> None:
        self.server = server

    def __call__(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=20)
        try:
            if isinstance(body, dict | list):
                body = json.dumps(body)
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), {key.lower(): value for key, value in answer.getheaders()}
        finally:
            connection.close()


@pytest.fixture
def api(toxiproxy_server, client):
    return Api(toxiproxy_server)


@pytest.fixture
def proxy(api, wire):
    status, body, _ = api("POST", "/proxies", {"name": "p", "upstream": "127.0.0.1:9", "listen": wire.own_text()})
    assert status == 201
    return json.loads(body)


def error(message: str, status: int) -> str:
    return json.dumps({"error": message, "status": status}, separators=(",", ":")) + "\n"


def test_a_proxy_looks_like_the_originals(api):
    status, body, headers = api("POST", "/proxies", {"name": "p", "upstream": "127.0.0.1:9", "listen": "localhost:0"})
    assert status == 201
    assert headers["content-type"] == "application/json"
    assert re.fullmatch(r"[0-9a-v]{20}", headers["x-toxiproxy-request-id"])
    assert re.fullmatch(
        r'\{"name":"p","listen":"127\.0\.0\.1:\d+","upstream":"127\.0\.0\.1:9","enabled":true,"Logger":\{\},"toxics":\[\]\}',
        body,
    )
    assert api("GET", "/proxies/p")[1] == body
    assert api("GET", "/proxies")[1] == '{"p":' + body + "}"
    assert api("DELETE", "/proxies/p")[:2] == (204, "")
    assert api("GET", "/proxies")[:2] == (200, "{}")


def test_a_toxic_looks_like_the_originals(api, proxy):
    status, body, _ = api("POST", "/proxies/p/toxics", {"type": "latency"})
    assert status == 200
    assert body == (
        '{"attributes":{"latency":0,"jitter":0},"name":"latency_downstream","type":"latency",'
        '"stream":"downstream","toxicity":1}'
    )
    assert api("GET", "/proxies/p/toxics/latency_downstream")[:2] == (200, body)
    assert api("GET", "/proxies/p/toxics")[:2] == (200, f"[{body}]")
    assert json.loads(api("GET", "/proxies/p")[1])["toxics"] == [json.loads(body)]
    assert api("DELETE", "/proxies/p/toxics/latency_downstream")[:2] == (204, "")
    assert api("GET", "/proxies/p/toxics")[:2] == (200, "[]")


def test_version(api, embedded):
    status, body, headers = api("GET", "/version")
    assert (status, body) == (200, '{"version": "2.12.0"}\n')
    assert headers["content-type"] == "application/json;charset=utf-8"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "bad request body: EOF"),
        ("{", "bad request body: unexpected EOF"),
        ("x", "bad request body: invalid character 'x' looking for beginning of value"),
        ("[]", "bad request body: json: cannot unmarshal array into Go value of type toxiproxy.Proxy"),
        (
            '{"name":1}',
            "bad request body: json: cannot unmarshal number into Go struct field Proxy.name of type string",
        ),
        ("null", "missing required field: name"),
        ("{}", "missing required field: name"),
        ('{"name":"a"}', "missing required field: upstream"),
        ('{"name":null,"upstream":"x"}', "missing required field: name"),
    ],
)
def test_bad_bodies_of_a_proxy(api, body, message):
    status, text, headers = api("POST", "/proxies", body)
    assert (status, text) == (400, error(message, 400))
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert api("GET", "/proxies")[1] == "{}"


def test_names_clash_before_addresses_are_tried(api, proxy):
    taken = {"name": "p", "upstream": "x", "listen": proxy["listen"]}
    assert api("POST", "/proxies", taken)[:2] == (409, error("proxy already exists", 409))


@pytest.mark.parametrize(
    ("listen", "message"),
    [
        ("foo", "listen tcp: address foo: missing port in address"),
        ("foo:bar", "listen tcp: lookup tcp/bar: unknown port"),
        ("127.0.0.1:99999", "listen tcp: address 99999: invalid port"),
        ("1.2.3.4:80", "listen tcp 1.2.3.4:80: bind: cannot assign requested address"),
    ],
)
def test_addresses_that_cannot_be_listened_on(api, listen, message):
    refused = api("POST", "/proxies", {"name": "p", "upstream": "x", "listen": listen})
    assert refused[:2] == (500, error(message, 500))
    assert api("GET", "/proxies")[1] == "{}"


def test_an_address_in_use(api):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = api("POST", "/proxies", {"name": "p", "upstream": "x", "listen": listen})
        assert refused[:2] == (500, error(f"listen tcp {listen}: bind: address already in use", 500))
        # A failed move leaves the proxy disabled, with the new address.
        api("POST", "/proxies", {"name": "p", "upstream": "x", "listen": "127.0.0.1:0"})
        assert api("PATCH", "/proxies/p", {"listen": listen})[0] == 500
        read = json.loads(api("GET", "/proxies/p")[1])
        assert (read["listen"], read["enabled"]) == (listen, False)


@pytest.mark.parametrize(
    ("listen", "read"), [("", r"\[::\]:\d+"), ("0.0.0.0:0", r"\[::\]:\d+"), ("127.9.8.7:0", "127.9.8.7:")]
)
def test_where_it_listens(api, listen, read):
    body = json.loads(api("POST", "/proxies", {"name": "p", "upstream": "x", "listen": listen})[1])
    assert re.match(read, body["listen"])
    host, _, port = body["listen"].rpartition(":")
    socket.create_connection(("127.0.0.1" if "::" in host else host, int(port)), 20).close()


def test_a_disabled_proxy_is_made_without_listening_and_keeps_its_address_as_sent(api):
    body = api("POST", "/proxies", {"name": "p", "upstream": "x", "listen": "foo", "enabled": False})[1]
    assert json.loads(body)["listen"] == "foo"
    assert json.loads(body)["enabled"] is False


@pytest.mark.parametrize("verb", ["POST", "PATCH"])
def test_updates_keep_what_is_not_named(api, proxy, verb):
    assert json.loads(api(verb, "/proxies/p", {})[1]) == proxy
    off = json.loads(api(verb, "/proxies/p", {"enabled": False, "name": "other"})[1])
    assert off == {**proxy, "enabled": False}
    on = json.loads(api(verb, "/proxies/p", {"enabled": True})[1])
    assert on == proxy
    moved = json.loads(api(verb, "/proxies/p", {"upstream": "127.0.0.1:10"})[1])
    assert moved == {**proxy, "upstream": "127.0.0.1:10", "enabled": True}
    assert api(verb, "/proxies/p", "")[:2] == (400, error("bad request body: EOF", 400))
    assert api(verb, "/proxies/nope", {})[:2] == (404, error("proxy not found", 404))


def test_keys_match_whatever_their_letter_case_and_what_follows_the_value_is_ignored(api):
    status, body, _ = api(
        "POST", "/proxies", '{"NAME":"n","Upstream":"u","listen":"127.0.0.1:0","extra":[1]} {"name":1}'
    )
    assert status == 201
    assert json.loads(body)["name"] == "n"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("", 400, "bad request body: EOF"),
        ("{}", 400, "invalid toxic type"),
        ('{"type":"unheard-of"}', 400, "invalid toxic type"),
        ('{"type":"latency","stream":"sideways"}', 400, "stream was invalid, can be either upstream or downstream"),
        ('{"type":"latency","stream":""}', 400, "stream was invalid, can be either upstream or downstream"),
        ('{"type":"unheard-of","stream":"sideways"}', 400, "stream was invalid, can be either upstream or downstream"),
        ('{"type":"latency","name":"there"}', 409, "toxic already exists"),
        ('{"type":"latency","name":"there","stream":"upstream"}', 409, "toxic already exists"),
        (
            '{"type":"latency","attributes":{"latency":1.5}}',
            400,
            "bad request body: json: cannot unmarshal number 1.5 into Go struct field LatencyToxic.attributes.latency "
            "of type int64",
        ),
        (
            '{"type":"reset_peer","attributes":{"timeout":"x"}}',
            400,
            "bad request body: json: cannot unmarshal string into Go struct field ResetToxic.attributes.timeout "
            "of type int64",
        ),
        (
            '{"type":"latency","toxicity":"x"}',
            400,
            "bad request body: json: cannot unmarshal string into Go struct field ToxicWrapper.toxicity "
            "of type float32",
        ),
    ],
)
def test_bad_bodies_of_a_toxic(api, proxy, body, status, message):
    api("POST", "/proxies/p/toxics", {"type": "noop", "name": "there"})
    assert api("POST", "/proxies/p/toxics", body)[:2] == (status, error(message, status))


def test_what_a_toxic_may_be(api, proxy):
    loud = json.loads(api("POST", "/proxies/p/toxics", {"type": "latency", "stream": "UPSTREAM"})[1])
    assert (loud["name"], loud["stream"]) == ("latency_UPSTREAM", "UPSTREAM")
    body = {"type": "latency", "name": "n", "toxicity": 0.1, "attributes": {"latency": -3, "unknown": 1}}
    assert json.loads(api("POST", "/proxies/p/toxics", body)[1]) == {
        "attributes": {"latency": -3, "jitter": 0},
        "name": "n",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 0.1,
    }
    assert [toxic["name"] for toxic in json.loads(api("GET", "/proxies/p/toxics")[1])] == ["latency_UPSTREAM", "n"]


@pytest.mark.parametrize("verb", ["POST", "PATCH"])
def test_updates_of_a_toxic_merge(api, proxy, verb):
    api("POST", "/proxies/p/toxics", {"type": "latency", "name": "n", "attributes": {"latency": 5, "jitter": 2}})
    body = {"attributes": {"jitter": 4}, "name": "other", "type": "timeout", "stream": "upstream"}
    read = json.loads(api(verb, "/proxies/p/toxics/n", body)[1])
    assert (read["name"], read["type"], read["stream"]) == ("n", "latency", "downstream")
    assert read["attributes"] == {"latency": 5, "jitter": 4}
    read = json.loads(api(verb, "/proxies/p/toxics/n", {"toxicity": 0.5})[1])
    assert (read["toxicity"], read["attributes"]) == (0.5, {"latency": 5, "jitter": 4})
    assert api(verb, "/proxies/p/toxics/none", {})[:2] == (404, error("toxic not found", 404))
    assert api(verb, "/proxies/none/toxics/n", {})[:2] == (404, error("proxy not found", 404))


def test_populate(api, wire):
    entries = [{"name": name, "upstream": "127.0.0.1:9", "listen": wire.own_text()} for name in "ab"]
    status, body, _ = api("POST", "/populate", entries)
    made = json.loads(body)["proxies"]
    assert status == 201
    assert [proxy["name"] for proxy in made] == ["a", "b"]
    # The same address leaves a proxy as it is, toxics and switch included; another one replaces it.
    api("POST", "/proxies/a/toxics", {"type": "noop"})
    api("PATCH", "/proxies/a", {"enabled": False})
    again = [{"name": "a", "upstream": "127.0.0.1:9", "listen": made[0]["listen"]}]
    read = json.loads(api("POST", "/populate", again)[1])["proxies"][0]
    assert (read["enabled"], len(read["toxics"])) == (False, 1)
    again[0]["upstream"] = "127.0.0.1:10"
    read = json.loads(api("POST", "/populate", again)[1])["proxies"][0]
    assert (read["enabled"], len(read["toxics"])) == (True, 0)
    assert set(json.loads(api("GET", "/proxies")[1])) == {"a", "b"}


@pytest.mark.parametrize(
    ("body", "status", "answer"),
    [
        ("[]", 201, '{"proxies":null}'),
        ("", 400, '{"error":"bad request body: EOF","status":400,"proxies":null}'),
        (
            '[{"name":"a","upstream":"x"},{"name":"","upstream":"x"}]',
            400,
            '{"error":"missing required field: name at proxy 2","status":400,"proxies":null}',
        ),
        (
            '[{"name":"a"}]',
            400,
            '{"error":"missing required field: upstream at proxy 1","status":400,"proxies":null}',
        ),
    ],
)
def test_populate_with_bad_bodies_makes_nothing(api, body, status, answer):
    found = api("POST", "/populate", body)
    assert found[:2] == (status, answer)
    assert found[2]["content-type"] == "application/json"
    assert api("GET", "/proxies")[1] == "{}"


def test_populate_that_fails_on_the_way_keeps_what_it_made(api):
    good = {"name": "a", "upstream": "x", "listen": "127.0.0.1:0"}
    status, body, _ = api("POST", "/populate", [good, {**good, "name": "b", "listen": "1.2.3.4:80"}])
    assert status == 500
    assert [proxy["name"] for proxy in json.loads(body)["proxies"]] == ["a"]
    assert set(json.loads(api("GET", "/proxies")[1])) == {"a"}


def test_reset_enables_and_cleans_and_keeps_the_proxies(api, proxy):
    api("POST", "/proxies/p/toxics", {"type": "latency"})
    api("POST", "/proxies/p/toxics", {"type": "timeout", "stream": "upstream"})
    api("PATCH", "/proxies/p", {"enabled": False})
    assert api("POST", "/reset")[:2] == (204, "")
    assert json.loads(api("GET", "/proxies/p")[1]) == proxy


def test_reset_goes_on_past_a_proxy_that_cannot_listen(api, embedded):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        for name in "abc":
            address = listen if name == "b" else "127.0.0.1:0"
            api("POST", "/proxies", {"name": name, "upstream": "x", "listen": address, "enabled": False})
            api("POST", f"/proxies/{name}/toxics", {"type": "noop"})
        status, body, _ = api("POST", "/reset")
        assert (status, "address already in use" in body) == (500, True)
        after = json.loads(api("GET", "/proxies")[1])
        assert [proxy["enabled"] for proxy in after.values()] == [True, False, True]
        assert [proxy["toxics"] for proxy in after.values()] == [[], [], []]


@pytest.mark.parametrize(
    ("verb", "path", "status", "body"),
    [
        ("GET", "/", 404, "404 page not found\n"),
        ("GET", "/nope", 404, "404 page not found\n"),
        ("GET", "/proxies/", 404, "404 page not found\n"),
        ("GET", "/proxies/a%2Fb", 404, "404 page not found\n"),
        ("GET", "/metrics", 404, "404 page not found\n"),
        ("PUT", "/proxies", 405, ""),
        ("HEAD", "/proxies", 405, ""),
        ("GET", "/reset", 405, ""),
        ("DELETE", "/version", 405, ""),
        ("GET", "/proxies/zz", 404, '{"error":"proxy not found","status":404}\n'),
        ("GET", "/proxies/zz/toxics/t", 404, '{"error":"proxy not found","status":404}\n'),
        ("GET", "/proxies?x=1", 200, "{}"),
    ],
)
def test_paths_and_verbs(api, verb, path, status, body):
    found = api(verb, path)
    assert found[:2] == (status, body)
    assert ("x-toxiproxy-request-id" in found[2]) == (status == 200 or "proxy not found" in body)


def test_doubled_slashes_are_redirected(api):
    status, _, headers = api("GET", "//proxies")
    assert (status, headers["location"]) == (301, "/proxies")


def test_browsers_are_sent_away(api):
    found = api("GET", "/proxies", headers={"User-Agent": "Mozilla/5.0 (X11)"})
    assert found[:2] == (403, "User agent not allowed\n")


@pytest.mark.parametrize("name", ["a b", "äöü", "<&>", "api->db:5432", "a%b", "a?b#c", "..."])
def test_names_of_all_kinds(api, client, name):
    client.create(name, listen="127.0.0.1:0", upstream="127.0.0.1:9")
    assert client.get(name).name == name
    assert list(json.loads(api("GET", "/proxies")[1])) == [name]
    client.delete(name)
