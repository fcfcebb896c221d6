"""The tool that makes the original Toxiproxy, and where its result is looked for. Nothing is fetched here."""

from __future__ import annotations

import importlib.util
import io
import os
import zipfile
from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentFault
from chaoskit.runtimes import real_toxiproxy

TOOL = Path(__file__).resolve().parents[2] / "tools" / "toxiproxy.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("tool_toxiproxy", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def nothing(monkeypatch, tmp_path):
    """No variable, an empty cache, an empty PATH."""
    monkeypatch.delenv("TOXIPROXY_SERVER", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_it_is_looked_for_in_the_variable_then_in_the_cache_then_on_the_path(nothing, monkeypatch):
    with pytest.raises(EnvironmentFault, match="no real Toxiproxy") as caught:
        real_toxiproxy.find_server()
    assert "python3 tools/toxiproxy.py" in str(caught.value)
    installed = program(nothing / "bin/toxiproxy-server")
    assert real_toxiproxy.find_server() == installed
    made = program(nothing / "cache/chaoskit/toxiproxy/2.12.0/toxiproxy-server")
    assert real_toxiproxy.find_server() == made
    named = program(nothing / "own")
    monkeypatch.setenv("TOXIPROXY_SERVER", named)
    assert real_toxiproxy.find_server() == named
    assert real_toxiproxy.server_argv("127.0.0.1", 5) == (named, "-host", "127.0.0.1", "-port", "5")


def test_a_variable_that_names_no_program_is_an_error_and_not_passed_over(nothing, monkeypatch):
    program(nothing / "bin/toxiproxy-server")
    monkeypatch.setenv("TOXIPROXY_SERVER", str(nothing / "gone"))
    with pytest.raises(EnvironmentFault, match="no program"):
        real_toxiproxy.find_server()


def test_what_is_made_is_not_made_again(nothing, tool, capsys):
    made = program(nothing / "cache/chaoskit/toxiproxy/2.12.0/toxiproxy-server")
    client = program(nothing / "cache/chaoskit/toxiproxy/2.12.0/toxiproxy-cli")
    assert tool.main([]) == 0
    assert capsys.readouterr().out == f"{made}\n"
    assert tool.main(["--cli"]) == 0
    assert capsys.readouterr().out == f"{client}\n"


def test_without_go_and_without_a_proxy_it_says_what_to_do(nothing, tool, capsys, monkeypatch):
    monkeypatch.setattr(tool, "_find_go", lambda: None)
    monkeypatch.setenv("GOPROXY", "off")
    assert tool.main([]) == 4
    assert "next: install Go" in capsys.readouterr().err
    assert not list((nothing / "cache/chaoskit/toxiproxy").glob("2.12.0/*"))


def test_a_toolchain_that_is_not_the_published_one_is_not_used(nothing, tool, capsys, monkeypatch):
    monkeypatch.setattr(tool, "_find_go", lambda: None)
    monkeypatch.setattr(tool, "fetch", lambda path: archive({"golang.org/x/bin/go": b"#!/bin/sh\n"}))
    assert tool.main([]) == 4
    assert "not the published one" in capsys.readouterr().err


def test_a_build_that_fails_leaves_nothing_half_made(nothing, tool, capsys, monkeypatch):
    go = program(nothing / "go")
    Path(go).write_text("#!/bin/sh\necho 'no such module'; exit 1\n")
    monkeypatch.setattr(tool, "_find_go", lambda: go)
    monkeypatch.setenv("PATH", os.defpath)
    (nothing / "cache/chaoskit/toxiproxy/build-killed").mkdir(parents=True)
    assert tool.main([]) == 4
    assert "no such module" in capsys.readouterr().err
    assert [path.name for path in (nothing / "cache/chaoskit/toxiproxy").iterdir()] == ["2.12.0.lock"]


def archive(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return whole.getvalue()


def test_sums_are_those_of_go(tool):
    # What `go mod download` writes to go.sum for a module of these two files, whatever their order in the zip.
    one = tool.content_sum(archive({"m@v1/b": b"2\n", "m@v1/a": b"1\n"}))
    assert one == tool.content_sum(archive({"m@v1/a": b"1\n", "m@v1/b": b"2\n"}))
    assert one.startswith("h1:")
    assert one != tool.content_sum(archive({"m@v1/a": b"1\n", "m@v1/b": b"3\n"}))


@pytest.mark.parametrize(
    ("text", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26, 8)), ("go version go1.19 linux/arm64", (1, 19)), ("", ())],
)
def test_versions_of_go(tool, text, version):
    assert tool.go_versions(text) == version
    assert (version >= tool.OLDEST_GO) == (version == (1, 26, 8))


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("", ["https://proxy.golang.org"]),
        ("https://a/,direct", ["https://a"]),
        ("https://a|https://b/go/,off", ["https://a", "https://b/go"]),
        ("direct", []),
    ],
)
def test_module_proxies(tool, setting, found):
    assert list(tool.proxies(setting)) == found
