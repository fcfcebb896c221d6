from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.toxiproxy.server import gojson
from chaoskit.toxiproxy.server.gojson import BadJson


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a":1}', {"a": 1}),
        (b' \r\n\t{"a":1} trailing', {"a": 1}),
        (b"null", None),
        (b"[1,2] [3]", [1, 2]),
        (b'"\xff"', "\ufffd"),
    ],
)
def test_decodes_the_first_value(body, value):
    assert gojson.decode(body) == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "EOF"),
        (b"  \n", "EOF"),
        (b"{", "unexpected EOF"),
        (b'{"a":"b', "unexpected EOF"),
        (b"nul", "unexpected EOF"),
        (b"x", "invalid character 'x' looking for beginning of value"),
        (b'{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
    ],
)
def test_says_what_is_wrong(body, message):
    with pytest.raises(BadJson) as caught:
        gojson.decode(body)
    assert str(caught.value) == message


@given(st.binary(max_size=60))
def test_never_fails_otherwise(body):
    try:
        gojson.decode(body)
    except BadJson:
        pass


def test_fields_match_whatever_their_case_and_null_is_nothing():
    found = {"NAME": "a", "name": None, "Enabled": False}
    assert gojson.text(found, "name", "-", "Proxy") == "a"
    assert gojson.text(found, "listen", "-", "Proxy") == "-"
    assert gojson.boolean(found, "enabled", True, "Proxy") is False
    assert gojson.members({"attributes": None}, "attributes", "T", "x") == {}


@pytest.mark.parametrize("value", [1.5, True, "1", [], {}, 2**63, gojson.decode(b"1e3")])
def test_integers_are_written_as_integers(value):
    with pytest.raises(BadJson, match=r"cannot unmarshal .* of type int64"):
        gojson.integer({"n": value}, "n", 0, "T")


@pytest.mark.parametrize(
    ("given_", "read"), [(0.1, "0.1"), (1.0, "1"), (0, "0"), (0.123456789, "0.12345679"), (7.5, "7.5"), (1e30, "1e+30")]
)
def test_numbers_are_rounded_to_32_bits_and_written_shortest(given_, read):
    assert gojson.encode(gojson.number({"n": given_}, "n", 0, "T")).decode() == read


@pytest.mark.parametrize("value", [1e39, "1", True, gojson.decode(b"1e400")])
def test_numbers_out_of_range(value):
    with pytest.raises(BadJson, match="float32"):
        gojson.number({"n": value}, "n", 0, "T")


def test_encodes_as_go_does():
    assert gojson.encode({"a": "<&>\u2028é"}) == '{"a":"\\u003c\\u0026\\u003e\\u2028é"}'.encode()
