"""The command line of the original: dashes, equal signs, switches, and what is wrong with one."""

from __future__ import annotations

import pytest

from chaoskit.errors import UsageError
from chaoskit.toxiproxy.server.flags import HELP, parse
from chaoskit.toxiproxy.server.process import Options


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("", Options()),
        ("-host 0.0.0.0 -port 8475", Options(host="0.0.0.0", port="8475")),
        ("--host=::1 --port=http", Options(host="::1", port="http")),
        ("-config f.json -seed -3", Options(config="f.json", seed=-3)),
        ("-proxy-metrics --runtime-metrics", Options(proxy_metrics=True, runtime_metrics=True)),
        ("-proxy-metrics=false -runtime-metrics=T", Options(proxy_metrics=False, runtime_metrics=True)),
        ("-port 1 -port 2", Options(port="2")),
        ("-host=", Options(host="")),
        ("-allow-host a -allow-host=b", Options(allow_hosts=("a", "b"))),
        ("--lag-file x --loop asyncio --seed 7", Options(lag_file="x", loop="asyncio", seed=7)),
    ],
)
def test_flags(line, options):
    assert parse(line.split()).options == options


@pytest.mark.parametrize("line", ["-version", "--version", "-version=true", "-version -port 1"])
def test_version(line):
    assert parse(line.split()).version
    assert not parse(["-version=false"]).version


@pytest.mark.parametrize("line", ["-h", "-help", "--help", "-port 1 -help"])
def test_help(line):
    assert parse(line.split()).help


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-nope", "flag provided but not defined: -nope"),
        ("--PORT 1", "not defined: -PORT"),
        ("-port", "flag needs an argument: -port"),
        ("-seed x", 'invalid value "x" for flag -seed: parse error'),
        ("-seed 1.5", "parse error"),
        ("-proxy-metrics=maybe", "parse error"),
        ("-proxy-metrics true", "'true' is no flag"),
        ("8474", "'8474' is no flag"),
        ("-", "is no flag"),
        ("--", "is no flag"),
        ("---port 1", "not defined"),
        ("-loop fast", "auto, uvloop or asyncio"),
    ],
)
def test_mistakes_are_named(line, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse(line.split())
    assert caught.value.hint


def test_the_help_teaches_every_flag():
    flags = "host port config seed proxy-metrics runtime-metrics version allow-host lag-file loop"
    for flag in flags.split():
        assert f"\n  -{flag} " in HELP
    assert max(len(line) for line in HELP.splitlines()) <= 120
