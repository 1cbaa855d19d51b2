"""The step `report`: what is known as a page to keep, and as text for the log."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from atlas import bars, findings
from atlas.page import page


def report(work: str, kept: str) -> dict[str, object]:
    """Make `code-atlas.html` and `code-atlas.json` of the folder `work`, print a summary, keep the totals as `kept`."""
    folder = Path(work)
    atlas = _read(folder / "atlas.json")
    repeats = _read(folder / "repeats.json") or []
    check, changes = _read(folder / "strict.json"), _read(folder / "changes.json")
    made = datetime.now().astimezone()
    html = page(
        atlas, repeats, check, changes, made=f"{made:%d %B %Y, %H:%M}", run=os.environ.get("WINDLASS_RUN_ID", "")
    )
    artifacts = Path(os.environ["WINDLASS_ARTIFACTS"])
    (artifacts / "code-atlas.html").write_text(html, encoding="utf-8")
    (artifacts / "code-atlas.json").write_text(json.dumps(atlas, indent=1))
    Path(kept).write_text(json.dumps({"totals": atlas["totals"]}))
    sentences = list(findings.all_of(atlas, repeats, check, changes))
    print("\n".join(bars.summary(atlas, sentences)))
    return {"findings": sentences}


def _read(path: Path) -> Any:
    """Return the content of a JSON file; None where the step that writes it did not."""
    return json.loads(path.read_text()) if path.exists() else None
