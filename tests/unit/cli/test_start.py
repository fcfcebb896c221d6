"""Starting is quick as long as a command loads and builds only what it needs: times are for `make bench`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from chaoskit import api
from chaoskit.cli.app import app
from chaoskit.cli.shell import command_line
from chaoskit.errors import AbilityError

ROOT = Path(__file__).resolve().parents[3]
DEMO = "experiments/url-shortener/demo.yaml"

LOADED = """
import json, sys
from chaoskit.cli.__main__ import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]))
"""

FROZEN = """
import sys
from chaoskit.cli.__main__ import call
call(["validate", sys.argv[1]])
for name, module in sorted(sys.modules.items()):
    for cls in vars(module).values() if name.startswith("chaoskit.") else ():
        made = getattr(cls, "__dataclass_params__", None) if isinstance(cls, type) else None
        if made is not None and made.frozen and cls.__module__ == name:
            print(name, cls.__name__)
"""


def loaded(*arguments: str) -> set[str]:
    """Modules that a command has loaded when it ends well."""
    environ = {name: value for name, value in os.environ.items() if name != "PYDANTIC_DISABLE_PLUGINS"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stdout + done.stderr
    return set(modules)


def below(modules: set[str], *packages: str) -> set[str]:
    """Those modules that are one of the packages or in it."""
    return {name for name in modules if any(f"{name}.".startswith(f"{package}.") for package in packages)}


def test_validate_loads_only_what_it_looks_with() -> None:
    modules = loaded("validate", DEMO)
    assert below(modules, "chaoskit.lint", "chaoskit.stack"), "it was validated"
    heavy = ("numpy", "pandas", "pyarrow", "plotly", "jinja2", "rich", "httpx", "docker", "kubernetes", "uvloop")
    assert not below(modules, *heavy, "asyncio", "ssl", "multiprocessing", "concurrent", "ctypes")
    above = ("plan", "plan_text", "engine", "analysis", "report", "safety", "probes", "toxiproxy", "traffic", "store")
    assert not below(modules, *(f"chaoskit.{name}" for name in above))
    # One fault is in the demo, and one model was made for its parameters.
    faults = {name.rpartition(".")[2] for name in below(modules, "chaoskit.faults")}
    assert faults <= {"faults", "model", "places", "latency"}


def test_what_validate_reads_with_is_made_of_named_tuples() -> None:
    # A frozen dataclass compiles seven functions, which takes four times as long; there were thirty of them.
    found = subprocess.run([sys.executable, "-c", FROZEN, DEMO], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == [f"{DEMO}: valid"], "frozen dataclasses on the way"


def test_help_and_version_load_neither_pydantic_nor_yaml() -> None:
    for option in ("--help", "--version"):
        assert not below(loaded(option), "ruamel", "numpy", "chaoskit.spec", "chaoskit.stack"), option
    assert not below(loaded("--help"), "pydantic")


def test_only_the_command_that_is_asked_for_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    build = typer.main.get_command

    def noted(one: typer.Typer) -> object:
        built.extend(info.name or str(info.callback and info.callback.__name__) for info in one.registered_commands)
        return build(one)

    monkeypatch.setattr("chaoskit.cli.shell.get_command", noted)
    group = command_line(app)
    assert built == []
    assert group.commands["validate"] is group.commands["validate"]
    assert built == ["validate"]
    assert "no-such-command" not in group.commands


def test_it_is_the_command_line_that_typer_makes_of_the_app() -> None:
    lazy, whole = command_line(app), typer.main.get_command(app)
    assert isinstance(whole, typer.core.TyperGroup)
    assert list(lazy.commands) == list(whole.commands)
    assert [param.name for param in lazy.params] == [param.name for param in whole.params]
    context, other = (typer.Context(group, info_name="chaoskit") for group in (lazy, whole))
    assert lazy.get_help(context) == whole.get_help(other)
    for name, command in whole.commands.items():
        if name not in ("check", "inject"):  # they list what is registered, slowly
            own = lazy.commands[name]
            shown, expected = (typer.Context(one, info_name=name, parent=context) for one in (own, command))
            assert own.get_help(shown) == command.get_help(expected), name


def test_validate_says_what_the_runtime_cannot_do_though_it_makes_no_plan(tmp_path: Path) -> None:
    text = (ROOT / DEMO).read_text().replace("target: ../../", f"target: {ROOT}/")
    link = "fault: latency, on: api -> db, latency: 400ms, jitter: 20ms"
    assert link in text
    file = tmp_path / "greedy.yaml"
    file.write_text(text.replace(link, "fault: stress, on: api, memory: 64MB"))
    with pytest.raises(AbilityError, match=r"greedy\.yaml:17:5: the runtime process cannot stress:memory"):
        api.validate(file)
    file.write_text(text)
    assert api.validate(file) == api.load_plan(file).warnings
