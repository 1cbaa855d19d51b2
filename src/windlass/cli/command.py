"""Commands that load when they are called, and the options that every command has."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from windlass.cli.output import FORMATS
from windlass.cli.session import Session
from windlass.errors import UserError
from windlass.model.printable import printable

#: How click tells the range of a number: as `[x>=1]`, or behind a default.
_RANGE: Final = re.compile(r"  \[(?:\d+<=)?x[<>]=\d+\]|; (?:\d+<=)?x[<>]=\d+(?=\])")


@dataclass(frozen=True, slots=True)
class Lazy:
    """A command by the module whose `command` it is; its summary is known without loading it."""

    module: str
    summary: str


@dataclass(frozen=True, slots=True)
class Family:
    """Commands behind a common noun."""

    summary: str
    commands: Mapping[str, Lazy]
    #: What the noun does without a verb; None where it does nothing.
    alone: Lazy | None = None


class Command(click.Command):
    """A command with the options that all have."""

    def __init__(self, *args: Any, formats: Sequence[str] = (), examples: str = "", **more: Any) -> None:
        """Take what click's own command takes, `formats` that only this command prints, and `examples`, one a line."""
        super().__init__(*args, **more)
        self._own = list(self.params)
        self._examples = examples.strip().splitlines()
        self.params.extend(common_options(formats))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then those that every command has."""
        own = [record for option in self._own if (record := _record(option, ctx)) is not None]
        common = [
            record
            for option in self.get_params(ctx)
            if option not in self._own and (record := _record(option, ctx)) is not None
        ]
        if own:
            with formatter.section("Options"):
                formatter.write_dl(own)
        with formatter.section("Options of every command"):
            formatter.write_dl(common)

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they stand."""
        if self._examples:
            formatter.write("\nExamples:\n" + "".join(f"  {line.strip()}\n" for line in self._examples))

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; an interrupt ends it without the empty line that click would print."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None


class LazyGroup(click.Group):
    """A group that knows its commands' names and summaries, and loads only the one that is called."""

    def __init__(self, entries: Mapping[str, Lazy | Family], **more: Any) -> None:
        """Know `entries` by name."""
        super().__init__(**more)
        self._entries = entries

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names in the order of their declaration."""
        return list(self._entries)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """Return a command, loaded; None where there is none of that name."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        if isinstance(entry, Family):
            return _family(name, entry)
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write names and summaries without loading anything."""
        rows = [(name, _summary(entry)) for name, entry in self._entries.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called; raises UsageError with the nearest name where there is none."""
        name = args[0]
        if name not in self._entries and not name.startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - only after a mistake

            near = get_close_matches(name, self._entries, n=1) or self._with_verb(name)
            meant = " or ".join(f'"{one}"' for one in near)
            hint = f"; did you mean {meant}?" if near else f"; there are {', '.join(self._entries)}."
            raise click.UsageError(f'There is no command "{name}"{hint}', ctx)
        return super().resolve_command(ctx, args)

    def _with_verb(self, verb: str) -> list[str]:
        """Return the commands that end in `verb`: whoever types `apply` means `job apply`."""
        families = {name: entry for name, entry in self._entries.items() if isinstance(entry, Family)}
        return [f"{name} {verb}" for name, family in families.items() if verb in family.commands][:3]


def _family(name: str, entry: Family) -> LazyGroup:
    if entry.alone is None:
        return LazyGroup(entry.commands, name=name, help=entry.summary, params=list(common_options()))
    alone: click.Command = importlib.import_module(entry.alone.module).command

    @click.pass_context
    def callback(ctx: click.Context, /, **values: Any) -> Any:
        if ctx.invoked_subcommand is None and alone.callback is not None:
            return alone.callback(**values)
        given = [name for name in values if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT]
        if given:
            raise click.UsageError(f'--{given[0].replace("_", "-")} does not go with "{ctx.invoked_subcommand}".', ctx)
        return None

    found = LazyGroup(
        entry.commands, name=name, help=alone.help, params=alone.params, invoke_without_command=True, callback=callback
    )
    found.epilog = alone.epilog
    return found


def make(**more: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command; its docstring is the help. It gets the session as its first argument."""

    def decorate(function: Callable[..., Any]) -> Command:
        made = click.command(cls=Command, **more)(click.pass_obj(function))
        return made if isinstance(made, Command) else Command(**more)

    return decorate


def common_options(formats: Sequence[str] = ()) -> list[click.Option]:
    """Return the options that every command and every group has; `formats` come on top of the usual ones."""
    return [
        click.Option(
            ["--format", "format_"],
            type=click.Choice([*FORMATS, *formats]),
            expose_value=False,
            callback=_take_format,
            help="How results are printed.  [default: table]",
        ),
        click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_take_json, help="Short for --format json."
        ),
        click.Option(
            ["--project"], metavar="NAME", expose_value=False, callback=_take_project, help="Work in this project."
        ),
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_take_quiet, help="Print results only."
        ),
    ]


def _summary(entry: Lazy | Family) -> str:
    """Return what a command is for; a family names its verbs."""
    if isinstance(entry, Lazy):
        return entry.summary
    return f"{entry.summary.rstrip('.')}: {', '.join(entry.commands)}."


def _record(option: click.Parameter, ctx: click.Context) -> tuple[str, str] | None:
    """Return an option and its meaning, without the ranges that click writes as inequations; None of an argument."""
    record = option.get_help_record(ctx) if isinstance(option, click.Option) else None
    if record is None:
        return None
    name, meaning = record
    return name.replace("INTEGER RANGE", "N"), _RANGE.sub("", meaning)


def _session(ctx: click.Context) -> Session:
    found = ctx.find_object(Session)
    if found is None:
        raise RuntimeError("a command was called without a session")
    return found


def _take_format(ctx: click.Context, _: click.Parameter, value: Any) -> None:
    if value:
        _session(ctx).out.format = value


def _take_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _session(ctx).out.format = "json"


def _take_project(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from windlass.settings import PROJECT_NAME, is_project  # noqa: PLC0415 - few calls name a project

    if value != "*" and not is_project(value):
        raise UserError(f'--project: "{printable(value[:80])}" is no name of a project: {PROJECT_NAME}.')
    _session(ctx).project_option = value


def _take_quiet(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _session(ctx).out.quiet = True
