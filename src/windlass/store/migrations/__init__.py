"""The history of the schema, oldest first: one file for each version under `versions/`."""

from __future__ import annotations

from typing import Final

#: Every version of the schema that this program knows, in order; the last one is what it needs.
VERSIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012")
HEAD: Final = VERSIONS[-1]
