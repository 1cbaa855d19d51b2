"""`windlass audit export`."""

from __future__ import annotations

import json

from windlass.cli.command import make
from windlass.cli.output import escaped
from windlass.cli.session import Session


@make(name="export", examples="windlass audit export > audit.jsonl")
def command(session: Session) -> None:
    """Print all entries in the order of the chain, with their codes, as JSON lines."""
    after: int | None = 0
    with session.connect() as client:
        while after is not None:
            page = client.get("audit", "chain", after=after, limit=1000)
            for entry in page["items"]:
                session.out.line(escaped(json.dumps(entry, ensure_ascii=False)))
            after = page["next"]
