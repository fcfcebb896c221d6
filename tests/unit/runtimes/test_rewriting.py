"""Addresses are found as whole words only, and everything else stays as it was."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.runtimes.rewriting import Rewriter, substitute

KNOWN = {("db", 5432): ("127.0.0.1", 11001), ("db-2", 5432): ("127.0.0.1", 11002), ("api", 80): ("127.0.0.1", 11003)}
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}(?:[-_.][a-z0-9]{1,4})?", fullmatch=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("db:5432", "127.0.0.1:11001"),
        ("postgresql://app:secret@db:5432/shop?x=1", "postgresql://app:secret@127.0.0.1:11001/shop?x=1"),
        ("db:5432,db-2:5432", "127.0.0.1:11001,127.0.0.1:11002"),
        ("a=db:5432 b=db-2:5432", "a=127.0.0.1:11001 b=127.0.0.1:11002"),
        ("http://api/v1", "http://127.0.0.1:11003/v1"),
        ("http://api", "http://127.0.0.1:11003"),
        ("http://me@api?q", "http://me@127.0.0.1:11003?q"),
        ("postgresql+psycopg://db/shop", "postgresql+psycopg://127.0.0.1:11001/shop"),
        ('{"url": "http://api"}', '{"url": "http://127.0.0.1:11003"}'),
        ("postgres://db,db-2/shop", "postgres://127.0.0.1:11001,127.0.0.1:11002/shop"),
    ],
)
def test_addresses_are_replaced(before: str, after: str) -> None:
    assert Rewriter(KNOWN)(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "db",  # a word, not an address
        "db:5433",  # another port: no link leads there
        "my-db:5432",
        "my.db:5432",
        "mydb:5432",
        "db:54321",
        "db:5432x",
        "redis://db:5432@elsewhere:6379",  # a user and a password
        "http://elsewhere/api/v1",
        "http://api-3/",
        "http://api.example.com/",
        "ftp://api/",
        "https://api/",  # its port is 443, and nothing leads there
        "",
    ],
)
def test_everything_else_stays(text: str) -> None:
    assert Rewriter(KNOWN)(text) == text


@given(st.text())
def test_nothing_known_changes_nothing(text: str) -> None:
    assert Rewriter({})(text) == text


@given(
    st.dictionaries(NAMES, st.integers(1024, 65535), min_size=1, max_size=5),
    st.lists(st.sampled_from(["", "http://", "x=", ", ", "user@", "tcp://u:p@", "é"]), min_size=1, max_size=4),
)
def test_every_listed_address_is_replaced_and_only_once(ports: dict[str, int], separators: list[str]) -> None:
    """Also where one name is the beginning or the end of another."""
    targets = {(name, port): ("127.0.0.1", 20000 + n) for n, (name, port) in enumerate(ports.items())}
    text = " ".join(f"{'' if s == 'é' else s}{name}:{port}" for (name, port) in targets for s in separators)
    done = Rewriter(targets)(text)
    expected = [str(port) for _, port in targets.values() for _ in separators]
    assert re.findall(r"127\.0\.0\.1:(\d+)", done) == expected
    assert Rewriter(targets)(done) == done


def test_variables() -> None:
    values = {"NODE_HOST": "127.2.0.1", "NODE_PORT": "8000"}
    assert substitute("--bind=${NODE_HOST}:${NODE_PORT}", values) == "--bind=127.2.0.1:8000"
    assert substitute("${NODE_UNKNOWN} ${HOME} $NODE_HOST", values) == "${NODE_UNKNOWN} ${HOME} $NODE_HOST"
