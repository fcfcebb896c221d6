"""The commands: parse, call `chaoskit.api`, print, exit code. Nothing else happens here."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from chaoskit.cli.check import add_check
from chaoskit.cli.hand import add_commands
from chaoskit.errors import ExitCode, worst

__all__ = ["app"]

app = typer.Typer(
    name="chaoskit",
    help="Break a stack on purpose, measure what its users saw, and print verdicts that come with evidence.\n\n"
    "Start with `chaoskit run experiments/url-shortener/demo.yaml`.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


class Interposition(StrEnum):
    """How links are put between nodes in the process runtime."""

    auto = "auto"
    hosts = "hosts"
    rewrite = "rewrite"


class Bender(StrEnum):
    """Which server bends the links."""

    auto = "auto"
    embedded = "embedded"
    real = "real"


File = Annotated[Path, typer.Argument(metavar="EXPERIMENT", help="Experiment file (YAML).", show_default=False)]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Override one value, e.g. timeline.slow-db.latency=400ms. Repeatable."
    ),
]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random; the same seed gives the same plan.")]
Trials = Annotated[int | None, typer.Option(min=1, max=100, help="How often each variant is tried.")]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where run directories are kept.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object (with schema_version) on stdout.")]
Inter = Annotated[
    Interposition,
    typer.Option(
        help="hosts: a private /etc/hosts per node; rewrite: addresses in environment and command are rewritten."
    ),
]
Proxy = Annotated[
    Bender,
    typer.Option(
        help="Which server bends the links: the embedded one, or the original (real; tools/toxiproxy.py makes it)."
    ),
]
RunArgument = Annotated[
    Path | None,
    typer.Argument(metavar="RUN", help="Run directory, or its id; the newest one if left out.", show_default=False),
]


def _version(wanted: bool) -> None:
    if wanted:
        from chaoskit import __version__
        from chaoskit.cli.output import data

        data(f"chaoskit {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(short_help="find every mistake in experiment files, start nothing")
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="EXPERIMENT...", help="Experiment files (YAML).")],
    overrides: Set = None,
    json: Json = False,
) -> int:
    """Find every mistake in experiment files and their targets; start nothing.

    Exit code 0: all is well. 2: problems, each as file:line:column.
    """
    from chaoskit import api
    from chaoskit.cli.output import as_json, complain, data, say
    from chaoskit.errors import ChaosKitError

    codes, found = [ExitCode.OK], []
    for file in files:
        try:
            warnings = api.validate(file, overrides=overrides or ())
        except ChaosKitError as error:
            if json:
                found.append({"file": str(file), "valid": False, "problems": str(error).splitlines()})
            else:
                complain(error)
            codes.append(error.exit_code)
            continue
        found.append({"file": str(file), "valid": True, "warnings": list(warnings)})
        if not json:
            for warning in warnings:
                say(f"{file}: warning: {warning}")
            data(f"{file}: valid")
    if json:
        data(as_json({"files": found}))
    return worst(codes)


@app.command(short_help="print what a run will do, start nothing")
def plan(
    file: File,
    overrides: Set = None,
    seed: Seed = None,
    trials: Trials = None,
    interposition: Inter = Interposition.auto,
    toxiproxy: Proxy = Bender.auto,
    json: Json = False,
) -> int:
    """Print what a run will do: cells, phases, links matched, defaults, what may be hurt; start nothing."""
    from chaoskit import api
    from chaoskit.cli.output import data

    made = api.load_plan(
        file,
        overrides=overrides or (),
        seed=seed,
        trials=trials,
        interposition=interposition.value,
        toxiproxy=toxiproxy.value,
    )
    data(made.model_dump_json(indent=1) if json else api.describe(made))
    return ExitCode.OK


@app.command(short_help="run experiments: verdict, evidence, report")
def run(
    files: Annotated[
        list[Path], typer.Argument(metavar="EXPERIMENT...", help="Experiment files (YAML), run one after the other.")
    ],
    overrides: Set = None,
    seed: Seed = None,
    trials: Trials = None,
    interposition: Inter = Interposition.auto,
    toxiproxy: Proxy = Bender.auto,
    runs: Runs = Path("runs"),
    events: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Write every event as a JSON line; - is stdout.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
    json: Json = False,
) -> int:
    """Run experiments: start the stack, inject, measure, heal, judge, write the report.

    Ctrl-C once heals and reports what was measured; twice stops at once (and still heals).

    Exit code 0: all claims held, or came out as `expect:` says. 1: refuted, or otherwise than expected.
    3: inconclusive. 2: mistake in a file, nothing was started. 4: could not start. 5: could not heal, or leftovers.
    6: not steady before the fault. 130/143: interrupted and healed.
    """
    from chaoskit import api
    from chaoskit.cli.live import observers
    from chaoskit.cli.output import as_json, data, verdicts
    from chaoskit.errors import UsageError

    if json and events == "-":
        raise UsageError("--json and --events - both want stdout", hint="give --events a file name")
    plans = [
        api.load_plan(
            file,
            overrides=overrides or (),
            seed=seed,
            trials=trials,
            interposition=interposition.value,
            toxiproxy=toxiproxy.value,
        )
        for file in files
    ]
    codes: list[ExitCode] = []
    results: list[dict[str, Any]] = []
    with observers(events=events, quiet=quiet) as watching:
        for made in plans:
            outcome = api.run(made, runs=runs, observers=watching)
            codes.append(outcome.exit_code)
            results.append(outcome.summary())
            if not json and events != "-":
                if outcome.analysis is not None:
                    data(verdicts(outcome.analysis, outcome.report))
                if outcome.error is not None:
                    from chaoskit.cli.output import complain

                    complain(outcome.error)
            if outcome.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED, ExitCode.UNHEALED):
                break
    if json:
        data(as_json({"runs": results, "exit_code": int(worst(codes))}))
    return worst(codes)


@app.command(short_help="stop a run that goes on in another terminal, or all of them")
def stop(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Run id; the only running one if left out.", show_default=False),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="End all runs and stacks of yours; none may begin until --release.")
    ] = False,
    release: Annotated[bool, typer.Option("--release", help="Let runs begin again after --all.")] = False,
    json: Json = False,
) -> int:
    """Stop a run that is going on in another terminal: heal, stop the stack, report what was measured.

    With --all every run and every stack of yours ends, and none may begin (exit code 4) until --release.
    """
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, say
    from chaoskit.errors import UsageError

    if everything + release + (run is not None) > 1:
        raise UsageError("RUN, --all and --release exclude each other", hint="chaoskit stop --help")
    done = api.stop(run, everything=everything, release=release, told=(lambda line: None) if json else say)
    if json:
        data(as_json({"done": done}))
    return ExitCode.OK


@app.command(short_help="clean up what a killed run left behind")
def recover(json: Json = False) -> int:
    """Clean up what a killed run left behind: faults, processes, leases, files. Safe to call at any time, and twice."""
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, say

    done = api.recover()
    if json:
        data(as_json(done.summary()))
    else:
        for line in done.lines():
            say(line)
    return done.exit_code


@app.command(name="analyse", short_help="judge a stored run again")
def analyse(run: RunArgument = None, runs: Runs = Path("runs"), json: Json = False) -> int:
    """Judge a stored run again, with no target: also one whose engine was killed. Writes analysis.json."""
    from chaoskit import api
    from chaoskit.cli.output import data, verdicts

    folder = api.find_run(run, runs)
    analysis = api.analyse(folder)
    data(analysis.model_dump_json(indent=1) if json else verdicts(analysis, None))
    return api.exit_code(analysis)


app.command(name="analyze", hidden=True)(analyse)


@app.command(short_help="write the report of a stored run again")
def report(
    run: RunArgument = None,
    runs: Runs = Path("runs"),
    format: Annotated[str, typer.Option(help="html, md or json; several separated by commas.")] = "html,md,json",
    stdout: Annotated[bool, typer.Option("--stdout", help="Print one format instead of writing files.")] = False,
) -> int:
    """Write the report of a stored run again: HTML, Markdown, JSON."""
    from chaoskit import api
    from chaoskit.cli.output import data

    folder = api.find_run(run, runs)
    if stdout:
        sys.stdout.write(api.render(folder, format))
        return ExitCode.OK
    for path in api.report(folder, formats=tuple(format.split(","))):
        data(str(path))
    return ExitCode.OK


@app.command(name="runs", short_help="list stored runs with their verdicts")
def list_runs(runs: Runs = Path("runs"), json: Json = False) -> int:
    """List stored runs with their verdicts, newest first."""
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, say, table

    found = api.runs(runs)
    if json:
        data(as_json({"runs": found}))
    elif found:
        header = ("run", "experiment", "status", "verdict", "exit")
        data(
            table(
                [[str(entry[key]) for key in ("run", "name", "status", "verdict", "exit_code")] for entry in found],
                header,
            )
        )
    else:
        say(f"no runs in {runs}; next: chaoskit run EXPERIMENT")
    return ExitCode.OK


@app.command(name="list", short_help="list experiments with the question each answers")
def list_shipped(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to look for experiments and targets.")] = Path(),
    json: Json = False,
) -> int:
    """List the experiments and targets below a folder, each with the question it answers."""
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, say, table

    found = api.catalogue(folder)
    if json:
        data(as_json(found))
        return ExitCode.OK
    rows = [[entry["file"], entry["target"], entry["question"]] for entry in found["experiments"]]
    if rows:
        data(table(rows, ("experiment", "target", "question")))
    else:
        say(f"no experiments below {folder}")
    return ExitCode.OK


@app.command(short_help="print the JSON Schema of experiment files")
def schema() -> int:
    """Print the JSON Schema (draft-07) of experiment files, for editors and other tools."""
    import json as encoder

    from chaoskit import api
    from chaoskit.cli.output import data

    data(encoder.dumps(api.schema(), indent=1))
    return ExitCode.OK


@app.command(short_help="say what this machine can do, and the remedy")
def doctor(json: Json = False) -> int:
    """Say what this machine can do: interposition, namespaces, servers, leftovers - and the remedy where it cannot."""
    from chaoskit import api
    from chaoskit.cli.output import as_json, data, paint

    facts = api.doctor()
    if json:
        data(as_json({"facts": facts}))
    else:
        for fact in facts:
            mark = paint("✓", "held") if fact["ok"] else paint("✕", "refuted")
            data(f"{mark} {fact['name']}: {fact['detail']}")
            if not fact["ok"] and fact["remedy"]:
                data(f"    remedy: {fact['remedy']}")
    return ExitCode.OK if all(fact["ok"] for fact in facts if fact["required"]) else ExitCode.ENVIRONMENT


add_check(app)
add_commands(app)


@app.command(
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    short_help="serve as a Toxiproxy, with the flags of the original",
)
def toxiproxy(context: typer.Context) -> int:
    """Serve as a Toxiproxy, with the flags of the original: see `chaoskit toxiproxy -help`."""
    from chaoskit.toxiproxy.server.__main__ import serve

    serve(context.args)
    return ExitCode.OK
