"""Arguments and options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from windlass.cli.session import Session
from windlass.cli.text import one_line
from windlass.errors import UserError, WindlassError

Function = TypeVar("Function", bound=Callable[..., Any])


class JobName(click.ParamType[str]):
    """The alias or id of a job; completed from the store."""

    name = "job"

    def convert(self, value: str, _: click.Parameter | None, __: click.Context | None) -> str:
        """Return `value`; raises UserError where it cannot be one."""
        return _segment(value, "a job")

    def shell_complete(self, ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the aliases that begin so; nothing where the store is out of reach."""
        return _complete(ctx, "jobs", "alias", incomplete, lambda job: job["title"])


class RunName(click.ParamType[str]):
    """The id of a run or its beginning; completed from the store."""

    name = "run"

    def convert(self, value: str, _: click.Parameter | None, __: click.Context | None) -> str:
        """Return `value`; raises UserError where it cannot be one."""
        return _segment(value, "a run")

    def shell_complete(self, ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the ids of the newest runs that begin so; nothing where the store is out of reach."""
        return _complete(ctx, "runs", "id", incomplete, lambda run: f"{run['job']}, {run['state']}")


class FileName(click.ParamType[str]):
    """The name of a file or folder, taken as it is; completed by the shell."""

    name = "file"

    def shell_complete(self, _: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Leave it to the shell."""
        return [CompletionItem(incomplete, type="file")]


JOB = JobName()
RUN = RunName()
FILE = FileName()


def limit_option(default: int) -> Callable[[Function], Function]:
    """Return the option that bounds a list."""
    return click.option(
        "-n", "--limit", type=click.IntRange(1, 100_000), default=default, show_default=True, help="Most items to list."
    )


def after_option() -> Callable[[Function], Function]:
    """Return the option that says behind which event to go on."""
    return click.option(
        "--after",
        metavar="CURSOR",
        help="Begin behind the event with this cursor, as --json shows it; 0 is before all of them.",
    )


def _segment(value: str, what: str) -> str:
    """Return a name that can stand in an address."""
    if value in {"", ".", ".."}:
        raise UserError(f'"{value}" names nothing; give the name or id of {what}.')
    return value


def _complete(
    ctx: click.Context, group: str, field: str, incomplete: str, describe: Callable[[dict[str, Any]], str | None]
) -> list[CompletionItem]:
    session = ctx.find_object(Session)
    if session is None:
        return []
    try:
        with session.connect() as client:
            page = client.get(group, project=session.project, limit=200)
    except WindlassError:
        return []
    fitting = [item for item in page["items"] if item[field].startswith(incomplete)]
    return [CompletionItem(item[field], help=one_line(describe(item) or "") or None) for item in fitting]
