"""tools/bootstrap.py: what it takes for installed, what it tells uv, and what it says where nothing can be made."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "bootstrap.py"
FILES = ("requirements.lock", "requirements-dev.lock", "pyproject.toml", "tools/installer.lock", "tools/build.lock")


@pytest.fixture
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that looks like a clone, in a path with a space."""
    root = tmp_path / "a clone"
    (root / "tools").mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, root / name)
    shutil.copy(SCRIPT, root / "tools")
    return root


@pytest.fixture
def installed(bootstrap: ModuleType, project: Path) -> Path:
    """A `.venv` with everything that a finished installation leaves, as far as `is_installed` looks."""
    venv = project / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    (venv / ".made").write_text(json.dumps(bootstrap.identity(venv)))
    (venv / ".installed").write_text(json.dumps(bootstrap.fingerprint(project)))
    return venv


def run(project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tools/bootstrap.py"],
        cwd=project,
        env={"PATH": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_finished_installation_is_left_alone(project: Path, installed: Path) -> None:
    before = sorted(path.stat().st_mtime_ns for path in installed.rglob("*"))
    done = run(project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.stat().st_mtime_ns for path in installed.rglob("*")) == before


def test_development_tools_are_more_than_the_rest(bootstrap: ModuleType, project: Path, installed: Path) -> None:
    wanted = bootstrap.fingerprint(project)
    assert bootstrap.is_installed(installed, wanted, False)
    assert not bootstrap.is_installed(installed, wanted, True)
    (installed / ".installed").rename(installed / ".installed-dev")
    assert bootstrap.is_installed(installed, wanted, True)
    assert bootstrap.is_installed(installed, wanted, False)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_an_installation_to_do(
    bootstrap: ModuleType, project: Path, installed: Path, name: str
) -> None:
    (project / name).write_text((project / name).read_text() + "# changed\n")
    assert not bootstrap.is_installed(installed, bootstrap.fingerprint(project), False)
    assert bootstrap.usable(installed), "only the packages are out of date, not the venv"


def half_made(venv: Path) -> None:
    (venv / ".made").unlink()


def torn_stamp(venv: Path) -> None:
    (venv / ".made").write_text('{"folder": ')


def python_gone(venv: Path) -> None:
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/nonexistent/python3")


def python_broken(venv: Path) -> None:
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (venv / "bin" / "python").chmod(0o755)


def other_python(venv: Path) -> None:
    (venv / ".made").write_text(json.dumps({"folder": str(venv), "python": "3.9"}))


@pytest.mark.parametrize("damage", [half_made, torn_stamp, python_gone, python_broken, other_python])
def test_a_venv_that_is_not_whole_is_not_usable(
    bootstrap: ModuleType, project: Path, installed: Path, damage: Callable[[Path], None]
) -> None:
    damage(installed)
    assert not bootstrap.usable(installed)
    assert not bootstrap.is_installed(installed, bootstrap.fingerprint(project), False)


def test_a_moved_venv_is_not_usable(bootstrap: ModuleType, project: Path, installed: Path) -> None:
    moved = project.rename(project.with_name("elsewhere"))
    assert not bootstrap.usable(moved / ".venv")
    assert not bootstrap.is_installed(moved / ".venv", bootstrap.fingerprint(moved), False)


def test_where_no_venv_can_be_made_it_says_what_to_install_and_leaves_nothing(project: Path, tmp_path: Path) -> None:
    broken = tmp_path / "site" / "venv"
    broken.mkdir(parents=True)
    (broken / "__main__.py").write_text("raise SystemExit('ensurepip is not available')")
    (broken / "__init__.py").touch()
    # PYTHONPATH stands for a Python whose own venv module is broken; the script clears it for its children otherwise.
    script = (project / "tools" / "bootstrap.py").read_text().replace('"PYTHONPATH", ', "")
    (project / "tools" / "bootstrap.py").write_text(script)
    done = run(project, PYTHONPATH=str(broken.parent))
    assert done.returncode == 4
    assert "apt install python3-venv" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / ".venv").exists()


def test_without_any_pip_it_says_what_to_install_and_leaves_nothing(
    bootstrap: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "pips", lambda venv, env: iter([["/nonexistent/pip"]]))
    with pytest.raises(bootstrap.Stop, match="apt install python3-venv"):
        bootstrap.install(project, False)
    assert not (project / ".venv").exists()


def test_an_old_python_is_told_so(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 2, "final", 0))
    assert bootstrap.main([]) == 4
    said = capsys.readouterr().err
    assert "needs Python 3.11" in said
    assert "3.9.2" in said
    assert "make PYTHON=" in said


def test_uv_is_told_what_pip_was_told(bootstrap: ModuleType) -> None:
    configured = (
        "global.index-url='https://mirror.example/simple'\n"
        "global.extra-index-url='\\nhttps://one.example\\nhttps://two.example'\n"
        "install.find-links='/srv/wheels'\n"
        "global.cert='/etc/our.pem'\n"
        ":env:.index-url='https://closer.example/simple'\n"
    )
    env = bootstrap.adopt_pip_settings({"UV_FIND_LINKS": "/mine"}, configured)
    assert env["UV_DEFAULT_INDEX"] == "https://closer.example/simple"
    assert env["UV_FIND_LINKS"] == "/mine", "what is set for uv already is kept"
    assert env["SSL_CERT_FILE"] == "/etc/our.pem"
    assert env["UV_INDEX"] == "https://one.example https://two.example"


def test_pip_is_told_what_uv_was_told(bootstrap: ModuleType) -> None:
    env = bootstrap.adopt_pip_settings({"UV_DEFAULT_INDEX": "https://i.example", "SSL_CERT_FILE": "/c.pem"}, "")
    assert (env["PIP_INDEX_URL"], env["PIP_CERT"]) == ("https://i.example", "/c.pem")
    assert "UV_INSECURE_HOST" not in env


def test_settings_that_send_packages_elsewhere_are_dropped(bootstrap: ModuleType) -> None:
    env = bootstrap.clean_environment({"PIP_TARGET": "/x", "PIP_USER": "1", "PYTHONPATH": "/y", "HOME": "/h"})
    assert env["HOME"] == "/h"
    assert not {"PIP_TARGET", "PIP_USER", "PYTHONPATH"} & set(env)


def test_a_home_that_cannot_be_written_gets_caches_below_the_venv(bootstrap: ModuleType, tmp_path: Path) -> None:
    blocked = tmp_path / "home"
    blocked.write_text("a file, so that not even root can make a folder in it")
    env = bootstrap.with_caches({"HOME": str(blocked)}, tmp_path / ".venv")
    assert env["UV_CACHE_DIR"] == str(tmp_path / ".venv" / "uv-cache")
    env = bootstrap.with_caches({"HOME": str(tmp_path)}, tmp_path / ".venv")
    assert "UV_CACHE_DIR" not in env


def test_the_locks_agree_with_each_other() -> None:
    """The build and the development lock are installed into the same environment as the runtime one."""

    def versions(name: str) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for line in (ROOT / name).read_text().splitlines():
            if "==" in line and not line.startswith((" ", "#")):
                package, _, version = line.split()[0].partition("==")
                found.setdefault(package, set()).add(version)
        return found

    runtime, development = versions("requirements.lock"), versions("requirements-dev.lock")
    assert runtime.items() <= development.items()
    build = versions("tools/build.lock")
    assert {name: build[name] for name in build.keys() & development.keys()} == {
        name: development[name] for name in build.keys() & development.keys()
    }


@pytest.mark.skipif(os.name != "posix" or shutil.which("make") is None, reason="no make")
def test_make_without_a_target_lists_them() -> None:
    said = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    for target in ("install", "demo", "test", "lint", "quality", "bench", "help"):
        assert f"make {target} " in said
