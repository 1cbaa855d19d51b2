"""`windlass job diff`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.job.apply import note_left_out
from windlass.cli.manifest_files import find_manifests
from windlass.cli.options import FILE
from windlass.cli.session import Session
from windlass.cli.states import paint
from windlass.cli.text import one_line

_EXAMPLES = """
windlass job diff orders.yaml
windlass job diff jobs/ --prune --exit-code
"""


@make(name="diff", examples=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option("--prune", is_flag=True, help="Show stored jobs that are not in the files as removed.")
@click.option("--source", help="With --prune: only the jobs that come from this source.")
@click.option("--exit-code", is_flag=True, help="End with status 1 where something differs.")
def command(session: Session, *, files: tuple[str, ...], prune: bool, source: str | None, exit_code: bool) -> int:
    """Show what apply would change: every field of every job.

    FILE is a file, a folder (everything below with apiVersion and kind), a glob, or - for standard input.
    """
    found = find_manifests(files)
    note_left_out(session, found)
    body: dict[str, Any] = {
        "files": [{"name": file.name, "text": file.text()} for file in found.files],
        "prune": prune,
    }
    if source:
        body["source"] = source
    with session.connect() as client:
        answer = client.post("jobdefs", "diff", body=body, project=session.project)
    differs = answer.pop("differs")
    session.out.value(answer, lambda: _told(answer, colours=session.out.colours))
    if not differs:
        session.out.note("Nothing differs.")
    return 1 if differs and exit_code else 0


def _told(answer: dict[str, Any], *, colours: bool) -> Iterator[str]:
    def shown(text: str, colour: str) -> str:
        return paint(one_line(text), colour) if colours else one_line(text)

    for alias in answer["added"]:
        yield shown(f"+ {alias}", "green")
    for alias in answer["removed"]:
        yield shown(f"- {alias}", "red")
    for job in answer["modified"]:
        yield shown(f"~ {job['alias']}", "yellow")
        for change in job["changes"]:
            yield "    " + one_line(change["line"])
