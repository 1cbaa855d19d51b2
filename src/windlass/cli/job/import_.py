"""`windlass job import`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.job.apply import note_left_out, told
from windlass.cli.manifest_files import find_manifests
from windlass.cli.options import FILE
from windlass.cli.session import Session

_EXAMPLES = """
windlass job import bundle.json --dry-run
windlass job import jobs.yaml --overwrite -m "from the other site"
"""


@make(name="import", examples=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--overwrite", is_flag=True, help="Change jobs that are there with other content.")
@click.option("-m", "--message", help="Why, for the history.")
def command(session: Session, *, files: tuple[str, ...], dry_run: bool, overwrite: bool, message: str | None) -> None:
    """Store the jobs of bundles, manifests, and exports of OpsConductor: all or none.

    FILE is a file, a folder, a glob, or - for standard input. What has no counterpart here is listed.
    """
    found = find_manifests(files)
    note_left_out(session, found)
    body = {
        "files": [{"name": file.name, "text": file.text()} for file in found.files],
        "dryRun": dry_run,
        "overwrite": overwrite,
    } | ({"message": message} if message else {})
    with session.connect() as client:
        answer = client.post("jobs", "import", body=body, project=session.project)
    for warning in answer["warnings"]:
        session.out.error(warning)
    for lost in answer["lost"]:
        session.out.warn(lost)
    session.out.value(answer, lambda: told(answer, dry_run=dry_run))
