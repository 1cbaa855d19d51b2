"""Errors as the command line tells them: one line each, an exit code, and a file for what nobody foresaw."""

from __future__ import annotations

import errno
import os
import re
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import click

from windlass.errors import InvalidDocument, Unavailable, Unexpected, WindlassError
from windlass.model.printable import printable

if TYPE_CHECKING:
    from windlass.cli.session import Session
    from windlass.model.finding import Finding

WRONG: Final = 2
#: What a shell says of a program that an interrupt ended.
INTERRUPTED: Final = 130
#: Characters that a line repeats of a word it was given.
_WORD: Final = 200
_LONG_WORD: Final = re.compile(rf"\S{{{2 * _WORD},}}")
#: How click asks where several names are near.
_DID_YOU_MEAN: Final = re.compile(r" \(Did you mean (.*)\?\)$")
#: How click names arguments that there are too many of.
_EXTRA: Final = re.compile(r"unexpected extra arguments? \((.*)\)$")
#: Files with details of unexpected errors that are kept.
_KEPT: Final = 20
#: What the places are like where nothing can be written.
_PLACES: Final = {
    errno.EROFS: "the file system can only be read; name another place, such as by WINDLASS_HOME",
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "your share of the disk is full; free some space and try again",
}


def explain(error: BaseException, session: Session) -> int:
    """Tell an error on standard error and return the exit code."""
    told = _foreseen(error)
    if told is None:
        return _unexpected(error, session)
    lines, code = told
    for line in lines:
        session.out.error(_LONG_WORD.sub(lambda found: f"{found[0][:_WORD]}...", line))
    return code


def _foreseen(error: BaseException) -> tuple[list[str], int] | None:
    """Return what to say of an error and the exit code; None where it is nobody's mistake but ours."""
    lines: list[str]
    match error:
        case click.exceptions.NoArgsIsHelpError():
            return [error.format_message()], WRONG
        case click.Abort() | KeyboardInterrupt():
            lines, code = ["interrupted"], INTERRUPTED
        case click.UsageError():
            lines, code = [_usage(error)], WRONG
        case click.ClickException():
            lines, code = [error.format_message()], WRONG
        case InvalidDocument():
            return [_finding(one) for one in error.findings], error.exit_code
        case WindlassError():
            lines, code = str(error).splitlines() or [type(error).__name__], error.exit_code
        case PermissionError() | FileNotFoundError() | IsADirectoryError() if error.filename:
            lines, code = [f"{printable(str(error.filename))}: {error.strerror}."], WRONG
        case FileNotFoundError() if not _has_folder():
            lines, code = ["The folder that this was started in is gone: change to another one, and try again."], WRONG
        case OSError() if error.errno in _PLACES:
            where = f"{printable(str(error.filename))}: " if error.filename else ""
            lines, code = [f"{where}{_PLACES[error.errno]}."], Unavailable.exit_code
        case _:
            return None
    return [f"windlass: {line}" for line in lines], code


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - to be asked, not to be used
    except FileNotFoundError:
        return False
    return True


def _finding(finding: Finding) -> str:
    """Return a finding as it is where it names its place, else as a sentence."""
    text = str(finding)
    return text if finding.position else f"windlass: {text}{'' if text.endswith(('.', '?')) else '.'}"


def _usage(error: click.UsageError) -> str:
    text = error.format_message().rstrip(".").replace("a valid integer range", "a whole number")
    if isinstance(error, click.NoSuchOption) and error.option_name[1:2].isdecimal():
        text = "A number below 0 makes no sense here"
    text = _DID_YOU_MEAN.sub(r" Did you mean \1?", text)
    extra = _EXTRA.search(text)
    if extra and "=" in extra[1]:
        text += f"; a parameter is given as -p {extra[1].split()[0]}"
    if not text.endswith("?"):
        text += "."
    return f"{text} See `{error.ctx.command_path} --help`." if error.ctx else text


def _unexpected(error: BaseException, session: Session) -> int:
    error_id = uuid4().hex[:12]
    details = "".join(traceback.format_exception(error))
    if os.environ.get("WINDLASS_DEBUG", "").lower() in {"1", "true", "yes", "on"}:
        session.out.error(details)
    try:
        place = f"the details are in {_write(error_id, details, session)}"
    except OSError as problem:
        place = f"the details could not be written ({problem.strerror}); set WINDLASS_DEBUG=1 to see them"
    session.out.error(f"windlass: An unexpected error happened, {type(error).__name__}; {place} (error {error_id}).")
    return Unexpected.exit_code


def _write(error_id: str, details: str, session: Session) -> Path:
    """Write the details where only the user can read them; the arguments are left out, they may hold secrets."""
    try:
        folder = session.settings.home / "errors"
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except (WindlassError, OSError):
        folder = Path(tempfile.mkdtemp(prefix="windlass-errors-"))
    for old in sorted(folder.glob("*.txt"))[: -_KEPT + 1]:
        old.unlink(missing_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{now:%Y%m%dT%H%M%S}-{error_id}.txt"
    head = f"error {error_id} at {now.isoformat()}\nwindlass {session.program.version()}, python {sys.version}\n\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(head + details)
    return path
