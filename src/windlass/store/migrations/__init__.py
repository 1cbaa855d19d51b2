"""The history of the schema, oldest first: one file for each version under `versions/`."""

from __future__ import annotations

from typing import Final

#: Every version of the schema that this program knows, in order; the last one is what it needs.
VERSIONS: Final = tuple(f"{number:04}" for number in range(1, 26))
HEAD: Final = VERSIONS[-1]
#: The oldest program, by the schema that it needs, which can work beside this one on one database. A migration that
#: takes away what older programs use raises it to its own number; others leave it as it is.
FLOOR: Final = "0020"
