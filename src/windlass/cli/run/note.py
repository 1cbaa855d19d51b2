"""`windlass run note`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session

_EXAMPLES = """
windlass run note 01a20241-74c1 "the disk was full; resumed after clean-up"
windlass run note 01a20241-74c1 ""
"""


@make(name="note", examples=_EXAMPLES)
@click.argument("run", type=RUN)
@click.argument("text")
def command(session: Session, *, run: str, text: str) -> None:
    """Put a note on a run, in place of the one there is; an empty TEXT takes it off."""
    with session.connect() as client:
        found = client.call("PUT", ("runs", run, "note"), body={"note": text or None})
    told = f"Run {found['id']} has its note." if text else f"Run {found['id']} has no note."
    session.out.value(found, lambda: [found["id"] if session.out.quiet else told])
