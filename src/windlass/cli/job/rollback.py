"""`windlass job rollback`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import JOB
from windlass.cli.session import Session

_EXAMPLES = """
windlass job rollback orders 3 -m "the new query is too slow"
windlass job rollback orders stable
"""


@make(name="rollback", examples=_EXAMPLES)
@click.argument("job", type=JOB)
@click.argument("revision")
@click.option("-m", "--message", help="Why, for the history.")
@click.option("--force", is_flag=True, help="Take the job over from the source that it comes from.")
def command(session: Session, *, job: str, revision: str, message: str | None, force: bool) -> None:
    """Add a revision with the content of an earlier one. REVISION is its number or a tag.

    Runs that were accepted before keep the revision that they have.
    """
    body = {"revision": revision, "force": force} | ({"message": message} if message else {})
    with session.connect() as client:
        done = client.post("jobs", job, "rollback", body=body, project=session.project)
    told = f"{done['alias']} is at revision {done['revision']}, with the content of revision {done['from']}."
    if not done["changed"]:
        told = f"{done['alias']} has the content of revision {done['from']} already; nothing was done."
    session.out.value(done, lambda: [] if session.out.quiet else [told])
