"""The step `compare`: what has changed since the last atlas of this code base."""

from __future__ import annotations

import json
from pathlib import Path


def compare(work: str, kept: str) -> dict[str, object]:
    """Write `changes.json` into the folder `work`: totals that differ from those in the file `kept`."""
    now = json.loads((Path(work) / "atlas.json").read_text())["totals"]
    before = json.loads(Path(kept).read_text())["totals"]
    changes = {what: now[what] - before[what] for what in now if now[what] != before.get(what, now[what])}
    (Path(work) / "changes.json").write_text(json.dumps(changes))
    print(", ".join(f"{number:+} {what}" for what, number in changes.items()) or "nothing has changed")
    return {"changes": len(changes)}
