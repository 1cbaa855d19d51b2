"""`windlass secret set`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.errors import UserError

_EXAMPLES = """
windlass secret set db-password
windlass secret set deploy-key --file id_ed25519 --note "key of the deploy user"
pass show db | windlass secret set db-password
"""
#: Bytes that are read at most; the store takes less.
_LARGEST: Final = 1024 * 1024


@make(name="set", examples=_EXAMPLES)
@click.argument("name")
@click.option("--file", "path", metavar="FILE", help="Take the value from a file, - for standard input.")
@click.option("--note", metavar="TEXT", help="What it is for, shown to whoever looks.")
def command(session: Session, *, name: str, path: str | None, note: str | None) -> None:
    """Keep a secret, sealed, for steps that name it as `secret://store/NAME`.

    The value is asked for, or read from standard input or a file: never from an argument, which others could see. The
    end of the line behind a value of one line does not belong to it.
    """
    value = _value(name, path)
    body = {"value": value} if note is None else {"value": value, "note": note}
    with session.connect() as client:
        found = client.call("PUT", ("secrets", name), query={"project": session.project}, body=body)
    for warning in found.pop("warnings"):
        session.out.warn(warning)
    verb = "Keeps" if found["version"] == 1 else "Changed"
    session.out.done(f"{verb} {found['reference']} in project {found['project']}, version {found['version']}.")
    if session.out.format != "table":
        session.out.value(found, tuple)


def _value(name: str, path: str | None) -> str:
    """Return the value of a secret. Raises UserError where it cannot be read."""
    if path is None and sys.stdin.isatty():
        return str(click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True))
    try:
        if path is None or path == "-":
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(_LARGEST + 1)
        text = data.decode()
    except OSError as error:
        raise UserError(f"{path}: the value cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UserError("The value of a secret must be UTF-8 text.") from None
    if len(data) > _LARGEST:
        raise UserError(f"The value of a secret cannot be larger than {_LARGEST:,} bytes.")
    line = text.removesuffix("\n").removesuffix("\r")
    return text if "\n" in line else line
