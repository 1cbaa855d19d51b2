"""`windlass job get`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import JOB
from windlass.cli.output import detail_lines, to_yaml
from windlass.cli.session import Session
from windlass.cli.table import Column, table_lines
from windlass.cli.text import local_time, one_line, plain

_STEPS = (
    Column("STEP", lambda row: row["name"]),
    Column("TYPE", lambda row: row["type"]),
    Column("AFTER", lambda row: ", ".join(row.get("dependsOn", ())), shrinks=True),
    Column("RULE", lambda row: row.get("triggerRule", "")),
    Column("WHEN", lambda row: row.get("when", ""), shrinks=True),
)

_EXAMPLES = """
windlass job get orders
windlass job get orders --revision 2
windlass job get orders --statistics --since 30d
windlass job get orders --manifest > orders.yaml
"""


@make(name="get", examples=_EXAMPLES)
@click.argument("job", type=JOB)
@click.option("--revision", help="Number or tag of a revision; the newest where not given.")
@click.option("--manifest", is_flag=True, help="Print the manifest alone, as `job apply` takes it.")
@click.option("--statistics", is_flag=True, help="Show figures of its runs instead.")
@click.option("--since", metavar="TIME", help="With --statistics: since this time, or so long ago; else a week.")
def command(
    session: Session, *, job: str, revision: str | None, manifest: bool, statistics: bool, since: str | None
) -> None:
    """Show a job. JOB is its alias or id, or names a revision too: orders@7, orders@stable."""
    if since is not None and not statistics:
        raise click.UsageError("--since goes with --statistics")
    if statistics:
        from windlass.cli.job.figures import show_statistics  # noqa: PLC0415 - only for those who ask for figures

        show_statistics(session, job, since)
        return
    with session.connect() as client:
        found = client.get("jobs", job, project=session.project, revision=revision)
    if manifest:
        definition = found["definition"]
        session.out.value(definition, lambda: [to_yaml(definition).rstrip("\n")])
        return
    session.out.value(found, lambda: _told(found, session.out.width))


def _told(job: dict[str, Any], width: int | None) -> Iterator[str]:
    definition = job["definition"]
    yield from detail_lines(
        [
            ("job", job["alias"]),
            ("title", plain(job["title"])),
            ("id", job["id"]),
            ("project", job["project"]),
            ("revision", f"{job['revision']} of {local_time(job['revisedAt'])} by {plain(job['author']) or 'unknown'}"),
            ("tags", plain(job["tags"])),
            ("message", plain(job["message"])),
            ("digest", job["digest"]),
            ("source", plain(job["provenance"])),
            ("category", plain(job["category"])),
            ("labels", plain(job["labels"])),
            ("queue", plain(definition.get("queue"))),
            ("priority", plain(definition.get("priority"))),
            ("enabled", "" if job["enabled"] else "no"),
            ("deleted", local_time(job["deletedAt"])),
        ]
    )
    if job["description"]:
        yield ""
        yield one_line(job["description"])
    if definition.get("parameters"):
        yield ""
        rows = [{"name": name, **schema} for name, schema in definition["parameters"].items()]
        yield from table_lines(_PARAMETERS, rows, width=width)
    yield ""
    yield from table_lines(_STEPS, definition["steps"], width=width)


_PARAMETERS = (
    Column("PARAMETER", lambda row: row["name"]),
    Column("TYPE", lambda row: plain(row.get("type"))),
    Column("DEFAULT", lambda row: "***" if row.get("secret") else plain(row.get("default"))),
    Column("VALUES", lambda row: plain(row.get("enum")), shrinks=True),
    Column("MEANING", lambda row: plain(row.get("description")), shrinks=True),
)
