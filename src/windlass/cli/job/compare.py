"""`windlass job compare`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.comparing import compared
from windlass.cli.options import JOB
from windlass.cli.output import to_yaml
from windlass.cli.session import Session

_EXAMPLES = """
windlass job compare orders
windlass job compare orders@2 orders@stable
windlass job compare orders --left 2 --right 5 --json
"""


@make(name="compare", examples=_EXAMPLES)
@click.argument("job", type=JOB)
@click.argument("other", type=JOB, required=False)
@click.option("--left", metavar="REVISION", help="Number or tag of the older revision; the one before where not given.")
@click.option("--right", metavar="REVISION", help="Number or tag of the newer revision; the newest where not given.")
@click.option("--exit-code", is_flag=True, help="End with status 1 where something differs.")
def command(
    session: Session, *, job: str, other: str | None, left: str | None, right: str | None, exit_code: bool
) -> int:
    """Show how one revision differs from another: beside each other where the terminal is wide.

    JOB and OTHER name jobs, and revisions of them as in orders@7 or orders@stable. With JOB alone its newest revision
    is compared with the one before it, or with the one that it names.
    """
    if other is None and "@" in job:
        if left is not None:
            raise click.UsageError(f"{job} names the older revision, and so does --left: give one of them")
        job, _, left = job.partition("@")
    with session.connect() as client:
        found = client.get(
            "jobs", job, "revisions", "compare", project=session.project, left=left, right=right, other=other
        )
    out = session.out
    out.value(found, lambda: _told(found, width=out.width, colours=out.colours))
    if not found["changes"] and out.format == "table":
        out.note("Nothing differs.")
    return 1 if found["changes"] and exit_code else 0


def _told(found: Mapping[str, Any], *, width: int | None, colours: bool) -> Iterator[str]:
    old, new = (to_yaml(found[side]).splitlines() for side in ("old", "new"))
    titles = (f"{found['leftJob']}@{found['left']}", f"{found['rightJob']}@{found['right']}")
    yield from compared(old, new, titles, width=width, colours=colours)
