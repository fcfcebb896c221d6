"""The commands `up`, `inject`, `status`, `heal` and `down`: parse, call `chaoskit.api`, print, exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from chaoskit.errors import ExitCode

__all__ = ["add_commands"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object (with schema_version) on stdout.")]
Stack = Annotated[
    str | None,
    typer.Option("--stack", metavar="NAME", help="Which stack, where several are up.", show_default=False),
]
StackArgument = Annotated[
    str | None, typer.Argument(metavar="STACK", help="Its name; the only one if left out.", show_default=False)
]


class _Inject(TyperCommand):
    """Lists the faults under `--help`: only then are they loaded."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from chaoskit import api

        for name, summary, parameters in api.fault_help():
            with formatter.section(f"{name}: {summary}"):
                rows = [(f"--{key}", text) for key, text in parameters]
                if rows:
                    formatter.write_dl(rows)
                else:
                    formatter.write_text("no parameters")


def add_commands(app: typer.Typer) -> None:
    """Add them to the command line."""
    app.command(short_help="start a stack and leave it up, to be bent by hand")(up)
    app.command(
        short_help="bend a stack that is up: one fault, for some time",
        cls=_Inject,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )(inject)
    app.command(short_help="what is up, and what is bent until when")(status)
    app.command(short_help="take a fault back before its time is over")(heal)
    app.command(short_help="heal and stop a stack that is up")(down)


def up(
    target: Annotated[
        Path,
        typer.Argument(metavar="TARGET", help="Folder, Compose file, or a shipped target's name.", show_default=False),
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the stack; else the target's.")] = None,
    duration: Annotated[str, typer.Option("--for", metavar="DURATION", help="It ends by itself after this.")] = "8h",
    env: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="SERVICE.NAME=VALUE", help="Override a variable of a service. Repeatable."),
    ] = None,
    interposition: Annotated[str, typer.Option(metavar="auto|hosts|rewrite", help="As for `run`.")] = "auto",
    toxiproxy: Annotated[str, typer.Option(metavar="auto|embedded|real", help="As for `run`.")] = "auto",
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where its logs are kept.")] = Path("runs"),
    json: Json = False,
) -> int:
    """Start a stack and leave it up, to be bent by hand: see `inject`, `status`, `heal` and `down`.

    It ends by itself after --for; every fault is healed at its own deadline. Prints where everything listens and how
    to talk to it.
    """
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, say
    from chaoskit.cli.stacks import stack_text

    found = api.up(
        target,
        name=name,
        seconds=_seconds(duration),
        env=env or (),
        interposition=_one_of("--interposition", interposition, ("auto", "hosts", "rewrite")),
        toxiproxy="real" if _one_of("--toxiproxy", toxiproxy, ("auto", "embedded", "real")) == "real" else "embedded",
        runs=runs,
        told=lambda message: say(f"starting: {message['starting']}") if "starting" in message else None,
    )
    if json:
        data(as_json({"stack": found}))
        return ExitCode.OK
    data(stack_text(found))
    say(f"\nnext: chaoskit inject latency {_a_link(found)!r} --latency 200ms --for 30s")
    say(f"      chaoskit status; chaoskit down {found['name']}")
    return ExitCode.OK


def inject(
    ctx: typer.Context,
    fault: Annotated[str, typer.Argument(metavar="FAULT", help="Which one; they are listed below.")],
    on: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ON]...", help="Links ('api -> db') or nodes (db), as in YAML.", show_default=False),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="How long: it is healed then, whatever happens."),
    ] = None,
    identity: Annotated[str, typer.Option("--id", metavar="ID", help="Its name, for `heal`.")] = "",
    stack: Stack = None,
    json: Json = False,
) -> int:
    """Bend a stack that is up: one fault, with the parameters that it has in YAML, for some time.

    Waits until the fault was seen to bite. Exit code 0: seen. 3: not seen (it is active all the same).
    2: the words are wrong, nothing was bent.
    """
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, say
    from chaoskit.cli.stacks import fault_lines

    words, places = _parameters([*(on or ()), *ctx.args])

    def told(message: Any) -> None:
        if message.get("event") == "begun" and not json:
            say("\n".join(fault_lines(message["fault"])))

    try:
        found = api.inject(fault, places, duration=duration, parameters=words, stack=stack, name=identity, told=told)
    except KeyboardInterrupt:
        say("what was begun goes on until its time is over; next: chaoskit status, chaoskit heal")
        raise
    if json:
        data(as_json({"fault": found}))
    else:
        data("\n".join(fault_lines(found, evidence=True)))
    return _code(found)


def status(stack: StackArgument = None, json: Json = False) -> int:
    """What is up, where it listens, what is bent until when, and what was seen of it."""
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, say
    from chaoskit.cli.stacks import stack_text

    found = api.status(stack)
    if json:
        data(as_json({"stacks": found}))
    elif found:
        data("\n\n".join(stack_text(one) for one in found))
    else:
        say("no stack is up; next: chaoskit up TARGET")
    return ExitCode.OK


def heal(
    fault: Annotated[
        str | None, typer.Argument(metavar="ID", help="Of the fault; all if left out.", show_default=False)
    ] = None,
    stack: Stack = None,
    json: Json = False,
) -> int:
    """Take a fault back before its time is over, or all of them, and see that it is gone.

    Exit code 0: healed. 5: it could not be; the supervisor goes on trying.
    """
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, say
    from chaoskit.cli.stacks import fault_lines

    healed = api.heal(fault, stack=stack)["healed"]
    if json:
        data(as_json({"healed": healed}))
    elif healed:
        data("\n".join(line for one in healed for line in fault_lines(one, evidence=True)))
    else:
        say("nothing is bent")
    return ExitCode.OK


def down(stack: StackArgument = None, json: Json = False) -> int:
    """Heal and stop a stack that is up; nothing of it is left but its logs."""
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, say

    lines = api.down(stack)
    if json:
        data(as_json({"done": lines}))
    else:
        for line in lines:
            say(line)
    return ExitCode.OK


def _seconds(text: str) -> float:
    from chaoskit.errors import UsageError
    from chaoskit.units import parse_duration

    try:
        found = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--for: {error}") from error
    if found <= 0:
        raise UsageError(f"--for {text} is no time at all", hint="write a duration such as 8h")
    return found


def _one_of(option: str, value: str, choices: tuple[str, ...]) -> str:
    from chaoskit.errors import UsageError

    if value not in choices:
        raise UsageError(f"{option} {value} is unknown", hint=f"use one of: {', '.join(choices)}")
    return value


def _parameters(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    """`--latency 200ms`, `--latency=200ms`: parameters by name; everything else is a place."""
    from chaoskit.errors import UsageError

    words: dict[str, str] = {}
    places: list[str] = []
    rest = iter(arguments)
    for text in rest:
        if not text.startswith("--"):
            places.append(text)
            continue
        key, equals, value = text[2:].partition("=")
        if not equals:
            found = next(rest, None)
            if found is None or found.startswith("--"):
                raise UsageError(f"--{key} has no value", hint=f"write --{key} VALUE")
            value = found
        if key in words:
            raise UsageError(f"--{key} is given twice")
        words[key] = value
    return words, places


def _code(fault: dict[str, Any]) -> ExitCode:
    if fault["state"] == "unhealed":
        return ExitCode.UNHEALED
    return ExitCode.OK if fault["seen"] else ExitCode.INCONCLUSIVE


def _a_link(stack: dict[str, Any]) -> str:
    """A link for the example: not the clients' own, where there is another."""
    links = [link["id"].rpartition(":")[0].replace("->", " -> ") for link in stack["links"]]
    inner = [link for link in links if not link.startswith("client")]
    return next(iter([*inner, *links]), "* -> *")
