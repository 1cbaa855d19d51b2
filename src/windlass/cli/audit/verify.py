"""`windlass audit verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.session import Session

_EXAMPLES = """
windlass audit verify
windlass audit verify --anchor 1042:5c1e...
"""


@make(name="verify", examples=_EXAMPLES)
@click.option("--anchor", "anchors", multiple=True, metavar="SEQ:CODE", help="An end that was printed before.")
def command(session: Session, *, anchors: tuple[str, ...]) -> None:
    """Go along the chain of all entries and tell the first one that was changed, left out, added or moved; exit 1 then.

    The end that is printed is an anchor: kept elsewhere, it shows later whether entries up to it were made anew.
    """
    with session.connect() as client:
        found = client.get("audit", "verify", anchor=anchors)
    session.out.value(found, lambda: _lines(found))
    if found["broken"] is not None:
        raise click.exceptions.Exit(1)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    broken = found["broken"]
    if broken is not None:
        yield f"Broken at entry {broken['seq']}: {broken['why']}."
        yield f"The {found['entries']} entries before it hold."
        return
    yield f"All {found['entries']} entries hold; the end is {found['head']['seq']}:{found['head']['code']}."
    if found["withoutKey"]:
        yield (
            f"{found['withoutKey']} of them are chained without a key: whoever can write to the database could have "
            "made them anew. A master key (`windlass keys create`) chains what follows under a key."
        )
