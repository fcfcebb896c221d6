"""What the url-shortener promises, and what each of its design decisions costs, against real servers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

STRATEGIES = ("cache-aside", "write-through", "write-around", "write-back")
DURABLE = STRATEGIES[:3]
TARGET = Path(__file__).resolve().parents[3] / "targets" / "url-shortener"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_link_resolves_to_what_was_shortened(start: Any, strategy: str) -> None:
    api = start(CACHE_STRATEGY=strategy)
    urls = [f"https://example.org/{n}" for n in range(20)]
    codes = [api.create(url) for url in urls]
    assert len(set(codes)) == len(urls)
    for _ in ("as it comes", "from the cache"):
        assert [api.url_of(code) for code in codes] == urls
    assert api.get("neverGiven").status_code == 404


@pytest.mark.parametrize("strategy", DURABLE)
def test_what_was_acknowledged_survives_the_death_of_the_cache(start: Any, cache: Any, strategy: str) -> None:
    api = start(CACHE_STRATEGY=strategy)
    codes = {api.create(f"https://example.org/{n}"): f"https://example.org/{n}" for n in range(10)}
    cache.kill()
    assert {code: api.url_of(code) for code in codes} == codes, "without the cache"
    cache.start()
    assert {code: api.url_of(code) for code in codes} == codes, "with an empty one"


def test_write_back_loses_what_it_had_not_flushed(start: Any, db: Any, cache: Any) -> None:
    api = start(CACHE_STRATEGY="write-back", FLUSH_DELAY="2s")
    old = api.create("https://example.org/old")
    from_database(db, old)
    new = api.create("https://example.org/new")
    cache.kill()
    assert api.url_of(old) == "https://example.org/old"
    assert api.get(new).status_code == 404
    cache.start()
    assert api.get(new).status_code == 404


def test_write_back_goes_on_without_the_database_and_catches_up(start: Any, db: Any) -> None:
    api = start(CACHE_STRATEGY="write-back", FLUSH_DELAY="0ms", DB_TIMEOUT="500ms")
    db.kill()
    codes = {api.create(f"https://example.org/{n}"): f"https://example.org/{n}" for n in range(10)}
    assert {code: api.url_of(code) for code in codes} == codes
    db.start()
    for code in codes:
        from_database(db, code)
    assert db.rows() == codes


@pytest.mark.parametrize("strategy", DURABLE)
def test_without_the_database_nothing_is_acknowledged_and_nothing_denied(start: Any, db: Any, strategy: str) -> None:
    api = start(CACHE_STRATEGY=strategy, DB_TIMEOUT="500ms")
    read, unread = api.create("https://example.org/read"), api.create("https://example.org/unread")
    assert api.url_of(read) == "https://example.org/read"
    db.kill()
    assert api.try_create().status_code == 503
    assert api.url_of(read) == "https://example.org/read"
    # Only write-through has a link in the cache that nobody has asked for yet; for the others, not knowing is no 404.
    assert api.get(unread).status_code == (200 if strategy == "write-through" else 503)
    assert api.get("neverGiven").status_code == 503
    db.start()
    assert eventually(lambda: api.try_create().status_code == 201)
    assert api.url_of(unread) == "https://example.org/unread"


def test_a_restart_of_the_database_between_requests_goes_unnoticed(start: Any, db: Any) -> None:
    api = start(CACHE_STRATEGY="write-around", POOL_SIZE="4")
    codes = [api.create("https://example.org/") for _ in range(4)]
    db.kill()
    db.start()
    assert [api.get(code).status_code for code in codes] == [200] * 4


def test_the_impatient_give_up_and_the_patient_wait(start: Any, db: Any) -> None:
    impatient = start(CACHE_STRATEGY="write-around", DB_TIMEOUT="300ms")
    patient = start(CACHE_STRATEGY="write-around", DB_TIMEOUT="25s")
    db.pause()
    try:
        began = time.monotonic()
        reply = impatient.try_create()
        took = time.monotonic() - began
        assert reply.status_code == 503
        assert "database" in reply.json()["error"]
        assert 0.29 <= took < 15
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(patient.try_create)
            time.sleep(0.6)
            assert not waiting.done()
            db.go_on()
            assert waiting.result().status_code == 201
    finally:
        db.go_on()
    assert eventually(lambda: impatient.try_create().status_code == 201)


def test_timeouts_and_gone_clients_leave_no_wrong_answers_behind(start: Any, db: Any) -> None:
    api = start(CACHE_STRATEGY="write-around", DB_TIMEOUT="300ms", POOL_SIZE="4")
    codes = {api.create(f"https://example.org/{n}"): f"https://example.org/{n}" for n in range(8)}

    def hang_up(code: str) -> None:
        with pytest.raises(httpx.TimeoutException):
            httpx.get(api.http.base_url.join(f"/links/{code}"), timeout=0.1, trust_env=False)

    db.pause()
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(hang_up, codes))
            assert {reply.status_code for reply in pool.map(api.get, codes)} == {503}
    finally:
        db.go_on()
    assert eventually(lambda: api.get(next(iter(codes))).status_code == 200)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            found = pool.map(api.get, codes)
            answered = {code: reply.json()["url"] for code, reply in zip(codes, found, strict=True) if reply.is_success}
            assert answered.items() <= codes.items()
    assert {code: api.url_of(code) for code in codes} == codes


def test_a_required_cache_that_is_down_is_an_error(start: Any, cache: Any) -> None:
    api = start(CACHE_STRATEGY="cache-aside", CACHE_DOWN="fail")
    code = api.create("https://example.org/")
    cache.kill()
    assert api.get(code).status_code == 503
    assert api.try_create().status_code == 503
    cache.start()
    assert api.url_of(code) == "https://example.org/"


def test_a_cache_that_hangs_costs_its_timeout(start: Any, cache: Any) -> None:
    api = start(CACHE_STRATEGY="write-through", CACHE_TIMEOUT="200ms")
    code = api.create("https://example.org/")
    cache.pause()
    try:
        began = time.monotonic()
        assert api.url_of(code) == "https://example.org/"
        assert 0.19 <= time.monotonic() - began < 15
    finally:
        cache.go_on()
    assert api.url_of(code) == "https://example.org/"


def test_a_short_queue_turns_away_what_a_long_one_makes_late(start: Any) -> None:
    busy = {"POOL_SIZE": "1", "QUERY_COST": "300ms", "DB_TIMEOUT": "25s"}
    with ThreadPoolExecutor(6) as pool:
        queue = start(**busy)
        assert [reply.status_code for reply in pool.map(lambda _: queue.try_create(), range(6))] == [201] * 6
        shed = start(**busy, QUEUE_LIMIT="1")
        replies = list(pool.map(lambda _: shed.try_create(), range(6)))
    turned_away = [reply for reply in replies if reply.status_code == 503]
    assert 1 <= len(turned_away) <= 5
    assert {reply.json()["error"] for reply in turned_away} == {"overloaded"}
    assert all(reply.headers["Retry-After"] for reply in turned_away)
    assert {reply.status_code for reply in replies} == {201, 503}


def test_healthz_says_what_is_wrong(start: Any, db: Any, cache: Any) -> None:
    api = start(DB_TIMEOUT="500ms")
    assert api.http.get("/healthz").json() == {"database": "up", "cache": "up"}
    cache.kill()
    reply = api.http.get("/healthz")
    assert reply.status_code == 503
    assert reply.json()["database"] == "up"
    assert reply.json()["cache"].startswith("cache:")
    cache.start()
    db.kill()
    reply = api.http.get("/healthz")
    assert reply.status_code == 503
    assert reply.json()["database"].startswith("database:")
    db.start()
    assert eventually(lambda: api.http.get("/healthz").status_code == 200)


def test_a_bad_request_is_refused(start: Any) -> None:
    api = start()
    for body in (
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"url": 7}',
        b'{"url": "javascript:alert(1)"}',
        b'{"url": "https://a\\u0000b"}',
        b'{"url": "https://\\ud800"}',
        b'{"url": "https://' + b"x" * 3000 + b'"}',
        b"[" * 8000,
        b"[" * 9000,
        b"\xff\xfe",
    ):
        assert api.http.post("/links", content=body).status_code == 400, body[:40]
    assert api.http.get("/links/%00").status_code == 404
    assert api.http.put("/links", content=b"{}").status_code == 405


@pytest.mark.parametrize(
    ("name", "value"),
    [("CACHE_STRATEGY", "write-never"), ("DB_TIMEOUT", "250"), ("POOL_SIZE", "0"), ("DATABASE_URL", "")],
)
def test_a_setting_that_cannot_be_read_is_named(name: str, value: str) -> None:
    environment = {**os.environ, "DATABASE_URL": "postgresql://x", "CACHE_URL": "redis://x", name: value}
    done = subprocess.run(
        [sys.executable, "-m", "app"], cwd=TARGET, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert name in done.stderr
    assert "Traceback" not in done.stderr


def from_database(db: Any, code: str) -> None:
    assert eventually(lambda: code in db.rows()), "it was never flushed"


def eventually(condition: Any) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False
