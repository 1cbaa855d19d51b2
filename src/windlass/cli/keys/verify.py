"""`windlass keys verify`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.output import detail_lines
from windlass.cli.session import Session
from windlass.cli.text import clean, plain


@make(name="verify")
def command(session: Session) -> None:
    """Open every key and every sealed value of the store, and tell what does not open; exit 1 where any does not."""
    with session.connect() as client:
        found = client.get("keys", "verify")
    session.out.value(found, lambda: _lines(found))
    if found["wrong"]:
        raise click.exceptions.Exit(1)


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    masters = ", ".join(f"{name} ({count} data keys)" for name, count in found["masterKeys"].items())
    yield from detail_lines(
        [
            ("master keys", masters or "none"),
            ("seals what is new", plain(found["current"])),
            ("data keys", str(found["keys"])),
            ("values", str(found["values"])),
            ("under old keys", str(found["underRetiredKeys"])),
        ]
    )
    for sentence in found["wrong"]:
        yield clean(f"wrong: {sentence}")
    if not found["wrong"]:
        yield "Everything opens."
