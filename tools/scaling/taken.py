"""Takes what the bench measured last into docs/scaling.md: `python -m tools.scaling.taken`, then `make docs`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("costs.json")
_RESULTS: Final = Path(__file__).parents[2] / "bench" / "results.json"


def main() -> None:
    """Keep the row `costs` of the results, with its day."""
    rows = {one["row"]: one for one in json.loads(_RESULTS.read_text())}
    if "costs" not in rows:
        raise SystemExit("There are no costs yet: make bench STORE=postgres ROW=costs")
    row = rows["costs"]
    day = datetime.fromtimestamp(_RESULTS.stat().st_mtime, UTC).date().isoformat()
    kept = {"measured": day, "versions": row["versions"], "settings": row["settings"], "costs": row["others"]}
    FILE.write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
