"""`windlass run artifacts`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli.command import make
from windlass.cli.options import FILE, RUN
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import ago, size
from windlass.errors import UserError

if TYPE_CHECKING:
    from windlass.client.client import Client

_COLUMNS = (
    Column("FILE", lambda row: row["name"]),
    Column("SIZE", lambda row: size(row["size"]), right=True),
    Column("STEP", lambda row: row["step"] + (f" [{row['key']}]" if row["key"] else "")),
    Column("ATTEMPT", lambda row: str(row["attempt"]), right=True),
    Column("KEPT", lambda row: ago(row["createdAt"])),
    Column("SHA256", lambda row: row["sha256"], shrinks=True),
)

_EXAMPLES = """
windlass run artifacts 01a20241-74c1
windlass run artifacts 01a20241-74c1 report.html -o report.html
"""


@make(name="artifacts", examples=_EXAMPLES)
@click.argument("run", type=RUN)
@click.argument("name", required=False)
@click.option(
    "-o",
    "--output",
    type=FILE,
    metavar="FILE",
    help="Where NAME is written; - is standard output.  [default: its name]",
)
@click.option("--step", help="The step that kept NAME, where several did.")
@click.option("--key", help="The matrix cell or target that kept NAME, where several did.")
def command(session: Session, *, run: str, name: str | None, output: str | None, **which: Any) -> None:
    """List the files that a run kept, or fetch the one called NAME."""
    with session.connect() as client:
        if name is None:
            found = client.get("runs", run, "artifacts")["items"]
            session.out.rows(found, _COLUMNS, "The run kept no files.")
            return
        _fetch(session, client, (run, name), output, which)


def _fetch(session: Session, client: Client, what: tuple[str, str], output: str | None, which: dict[str, Any]) -> None:
    run, name = what
    chunks = client.read("runs", run, "artifacts", name, **which)
    if output == "-":
        for chunk in chunks:
            session.out.write_bytes(chunk)
        return
    path = Path(output or Path(name).name)
    first = next(chunks, b"")  # what is wrong with the request shows before a file is made
    try:
        with path.open("wb" if output else "xb") as file:
            file.write(first)
            for chunk in chunks:
                file.write(chunk)
    except FileExistsError:
        raise UserError(f"{path} exists; name another file with --output, or that one to overwrite it.") from None
    session.out.done(f"Wrote {path}.")
