"""What an atlas shows, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: What people count of a code base, in their words.
_COUNTED = {"files": "files", "code": "lines of code", "classes": "classes", "functions": "functions"}


def of_imports(atlas: Mapping[str, Any]) -> str:
    """Say whether imports point in one direction."""
    at = {name: number for number, name in enumerate(atlas["order"])}
    total = sum(number for *_, number in atlas["imports"])
    up = sum(number for importing, imported, number in atlas["imports"] if at[importing] > at[imported])
    if not total:
        return "No part imports another one"
    if not up:
        return f"All {total:,} imports between parts point down"
    return f"{up:,} of {total:,} imports between parts point up"


def of_documentation(atlas: Mapping[str, Any]) -> str:
    """Say how much of what is public has a docstring."""
    totals = atlas["totals"]
    if not totals["public"]:
        return "Nothing is public"
    missing = totals["public"] - totals["documented"]
    words = f"{totals['documented']:,} of" if missing else "All"
    return f"{words} {totals['public']:,} public functions have a docstring"


def of_functions(atlas: Mapping[str, Any]) -> str:
    """Say how long functions are."""
    lengths = sorted(function["lines"] for function in atlas["functions"])
    if not lengths:
        return "There are no functions"
    half, longest = lengths[len(lengths) // 2], lengths[-1]
    return f"Half of {len(lengths):,} functions have at most {half} lines, the longest has {longest}"


def of_repeats(repeats: Sequence[Mapping[str, Any]]) -> str:
    """Say how much stands in several places."""
    if not repeats:
        return "No six lines of code stand in two places"
    return f"The longest block of code that stands in two places has {max(block['lines'] for block in repeats)} lines"


def of_check(check: Mapping[str, Any] | None) -> str:
    """Say what the strict reader refused."""
    if check is None:
        return "The strict reader was not asked"
    number = len(check["refused"])
    if not number:
        return "A strict reader finds nothing to refuse"
    return f"A strict reader refuses {number:,} thing{'s' if number > 1 else ''}"


def of_changes(changes: Mapping[str, int] | None) -> str:
    """Say what differs from the last atlas."""
    if changes is None:
        return "This is the first atlas kept here"
    shown = [f"{changes[what]:+,} {words}" for what, words in _COUNTED.items() if what in changes]
    return f"Since the last atlas: {', '.join(shown)}" if shown else "Nothing has changed since the last atlas"


def all_of(
    atlas: Mapping[str, Any],
    repeats: Sequence[Mapping[str, Any]],
    check: Mapping[str, Any] | None,
    changes: Mapping[str, int] | None,
) -> Iterator[str]:
    """Yield a sentence for each thing that was looked at."""
    yield of_imports(atlas)
    yield of_documentation(atlas)
    yield of_functions(atlas)
    yield of_repeats(repeats)
    yield of_check(check)
    yield of_changes(changes)
