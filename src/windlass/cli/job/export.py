"""`windlass job export`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import JOB
from windlass.cli.output import to_yaml
from windlass.cli.session import Session
from windlass.cli.text import counted

_EXAMPLES = """
windlass job export > jobs.yaml
windlass job export orders invoices@3 --json > bundle.json
windlass job export -l team=data | windlass job import - --project other
"""


@make(name="export", examples=_EXAMPLES)
@click.argument("jobs", nargs=-1, type=JOB, metavar="[JOB]...")
@click.option("-l", "--label", multiple=True, metavar="KEY[=VALUE]", help="Only jobs with this label.")
@click.option("--search", help="Only jobs with this in alias, title, description or category.")
@click.option("--category", help="Only jobs of this category.")
def command(
    session: Session, *, jobs: tuple[str, ...], label: tuple[str, ...], search: str | None, category: str | None
) -> None:
    """Print jobs as manifests, one document each, or as a bundle with --json, for `job import`.

    JOB is an alias or id, with a revision where it is not the newest; without one all jobs of the project are exported.
    A bundle says as well which jobs are disabled.
    """
    if jobs and (label or search or category):
        raise click.UsageError("name jobs, or choose them by --label, --search and --category: not both")
    with session.connect() as client:
        bundle = client.get(
            "jobs", "export", project=session.project, job=jobs, label=label, text=search, category=category
        )
    session.out.value(bundle, lambda: _documents(bundle))
    if session.out.format == "table":
        session.out.note(counted(len(bundle["jobs"]), "job"))


def _documents(bundle: Mapping[str, Any]) -> Iterator[str]:
    for job in bundle["jobs"]:
        yield "---"
        yield to_yaml(job["definition"]).rstrip("\n")
