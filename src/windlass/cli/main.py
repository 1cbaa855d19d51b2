"""The command line: from arguments to an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

import click

from windlass.cli.command import LazyGroup, common_options
from windlass.cli.commands import COMMANDS
from windlass.cli.failure import explain
from windlass.cli.output import Output
from windlass.cli.session import Session
from windlass.errors import ReaderGone

if TYPE_CHECKING:
    from windlass.cli.program import Program

_HELP = """Windlass runs jobs: defined in YAML or Python, queued durably, run as graphs of steps, followed live.

Exit status: 0 done, 1 what was asked about is bad, 2 the request was wrong, 3 the server or store is out of reach."""
_OVERVIEW = """\
Windlass {version} runs jobs: graphs of steps, defined in YAML or Python.

Here and now, without a server:
  windlass job lint FILE          check a job; `windlass job schema` helps an editor to write one
  windlass exec FILE              run it, and see how it goes

With a server, which runs what is stored:
  windlass up                     start it, in a terminal of its own
  windlass job apply FILE         store a job
  windlass run start JOB --wait   run it, and follow
  windlass run list               what ran, what runs; `run get`, `run watch` and `run logs` show one run

`windlass --help` names every command, `windlass doctor` finds out what is wrong."""


def run(arguments: Sequence[str], program: Program) -> int:
    """Run one command and return its exit code; whatever goes wrong is told on standard error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    output = Output()
    session = Session(program, output)
    try:
        code = _root().main(list(arguments), prog_name="windlass", standalone_mode=False, obj=session)
        output.flush()
    except ReaderGone as error:
        _silence(output.stdout)
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place where an error can be told
        code = explain(error, session)
        _settle(output.stdout)
        _settle(output.stderr)
        return code
    return code if isinstance(code, int) else 0


def _settle(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Send a stream that takes nothing any more to /dev/null: what is in its buffer must not fail again at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _root() -> LazyGroup:
    return LazyGroup(
        COMMANDS,
        name="windlass",
        help=_HELP,
        invoke_without_command=True,
        callback=_overview,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        params=[
            *common_options(),
            click.Option(
                ["--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_print_version,
                help="Print the version and exit.",
            ),
            click.Option(
                ["--completion"],
                type=click.Choice(["bash", "zsh", "fish"]),
                is_eager=True,
                expose_value=False,
                callback=_print_completion,
                help="Print the completion script of a shell and exit.",
            ),
        ],
    )


@click.pass_context
def _overview(ctx: click.Context) -> None:
    """Say where to begin where no command is given."""
    if ctx.invoked_subcommand is None:
        session: Session = ctx.obj
        session.out.line(_OVERVIEW.format(version=session.program.version()))


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        session: Session = ctx.obj
        session.out.line(f"windlass {session.program.version()}")
        ctx.exit()


def _print_completion(ctx: click.Context, _: click.Parameter, value: Any) -> None:
    if value and not ctx.resilient_parsing:
        from click.shell_completion import get_completion_class  # noqa: PLC0415 - nobody else needs it

        kind = get_completion_class(value)
        if kind is not None:
            ctx.obj.out.line(kind(ctx.command, {}, "windlass", "_WINDLASS_COMPLETE").source())
        ctx.exit()
