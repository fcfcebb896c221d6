"""Nothing from YAML is read by a shell as anything but text, unless the user wrote a line for a shell."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path

from chaoskit.runtimes.servers import postgres

PACKAGE = Path(postgres.__file__).parents[2]
HOSTILE = "$(touch bitten); `touch bitten` ' \" & | * > bitten"
# `CMD-SHELL` of a health check is a line for a shell by its name; PostgreSQL's is ours, and is told words.
ALLOWED = {"runtimes/assembly.py", "runtimes/servers/postgres.py"}


def test_a_shell_is_asked_in_two_places_only() -> None:
    found = set()
    for file in PACKAGE.rglob("*.py"):
        name = str(file.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant) and not node.value.value, f"{name}:{node.value.lineno}"
            if isinstance(node, ast.Attribute):
                what = f"{name}:{node.lineno}: {ast.unparse(node)}"
                assert node.attr not in ("create_subprocess_shell", "subprocess_shell", "getoutput"), what
                assert ast.unparse(node) not in ("os.system", "os.popen"), what
            if isinstance(node, ast.Constant) and re.fullmatch(r"(/bin/|/usr/bin/)?(ba)?sh", str(node.value)):
                found.add(name)
    assert found == ALLOWED


def test_names_and_passwords_of_postgresql_are_words(tmp_path: Path) -> None:
    binaries, data = tmp_path / "bin", tmp_path / "data"
    for folder in (binaries, data):
        folder.mkdir()
    (binaries / "initdb").write_text(
        "#!/bin/sh\n"
        'for word; do printf "%s\\n" "$word"; case $word in --pwfile=*) cat "${word#*=}";; esac; done > asked\n'
    )
    (binaries / "postgres").write_text("#!/bin/sh\ncat > created\n")
    for name in ("initdb", "postgres"):
        (binaries / name).chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "POSTGRES_PASSWORD": HOSTILE, "POSTGRES_INITDB_ARGS": "$(id) * `id`"}
    told = [str(binaries), str(data), HOSTILE, HOSTILE, "trust"]
    subprocess.run(
        ["/bin/sh", "-c", postgres._INITIALISE, "initialise", *told], cwd=tmp_path, env=environment, check=True
    )
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked.count(HOSTILE) == 2, "the user's name, and the password in its file"
    assert asked[-3:] == ["$(id)", "*", "`id`"]
    assert (tmp_path / "created").read_text() == f'CREATE DATABASE "{HOSTILE}"\n'
    assert sorted(path.name for path in tmp_path.iterdir()) == ["asked", "bin", "created", "data"]
