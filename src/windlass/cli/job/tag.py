"""`windlass job tag`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import JOB
from windlass.cli.session import Session

_EXAMPLES = """
windlass job tag orders stable
windlass job tag orders stable 7
windlass run start orders@stable
windlass job tag orders stable --delete
"""


@make(name="tag", examples=_EXAMPLES)
@click.argument("job", type=JOB)
@click.argument("name")
@click.argument("revision", required=False)
@click.option("--delete", is_flag=True, help="Take the tag away.")
def command(session: Session, *, job: str, name: str, revision: str | None, delete: bool) -> None:
    """Name a revision, or let a name stand for another one; the newest where none is given.

    JOB@NAME is that revision wherever one can be given. `windlass job history JOB` lists the tags.
    """
    if delete and revision is not None:
        raise click.UsageError("--delete takes the tag away, whatever revision it names: leave the revision out")
    if name in {"", ".", ".."}:
        raise click.UsageError(f'"{name}" is no tag')
    with session.connect() as client:
        path = ("jobs", job, "tags", name)
        if delete:
            done = client.delete(*path, project=session.project)
        else:
            body = {} if revision is None else {"revision": revision}
            done = client.call("PUT", path, query={"project": session.project}, body=body)
    session.out.value(done, lambda: [] if session.out.quiet else [_told(done)])


def _told(done: Mapping[str, Any]) -> str:
    name = f"{done['job']}@{done['tag']}"
    if done["revision"] is None:
        return f"{name} is gone; it was revision {done['before']}."
    before = done["before"]
    was = "" if before in {None, done["revision"]} else f"; it was {before}"
    return f"{name} is revision {done['revision']}{was}."
