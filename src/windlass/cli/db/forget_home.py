"""`windlass db forget-home`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.text import counted

_EXAMPLES = """
windlass db forget-home 4f1d0c9a7be23356
windlass db forget-home unknown
"""


@make(name="forget-home", examples=_EXAMPLES)
@click.argument("home", metavar="HOME")
def command(session: Session, *, home: str) -> None:
    """Wait no more for a home that will not come back: runs are archived without the files that lie there.

    `windlass doctor` names the homes for which something waits. `unknown` stands for files that a program of an earlier
    version kept and that no home has shown. A home that comes back all the same is known again.
    """
    with session.connect() as client:
        done = client.post("store", "forget-home", body={"home": home})
    waited = f"; {counted(done['runs'], 'run')} waited for files there" if done["runs"] else ""
    session.out.value(done, lambda: [f"Home {done['home']} is forgotten{waited}."])
