"""How a schema differs from the one that this version needs, each difference with what to do about it.

Both schemas are sets of facts, as `schema_facts` and `postgres.drift` write them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

#: What puts right some of the differences, as their sentences name it.
REPAIR: Final = "`windlass doctor --repair`"
_COLUMN: Final = re.compile(r"column (?P<name>\w+\.\w+) (?P<kind>.*)", re.DOTALL)
_INDEX: Final = re.compile(r"(?:unique )?index ")
_RESTORE: Final = "restore a backup"
_MAKE: Final = f"{REPAIR} makes it"
_ADD: Final = "what it forbids may have come in meanwhile: add it again, or restore a backup"
_DROP: Final = "it may refuse what Windlass writes: drop it"
_FILL: Final = "no row can be written without it: give it a default, or drop it"


@dataclass(frozen=True, slots=True)
class Deviations:
    """The differences, one sentence each."""

    problems: tuple[str, ...] = ()
    #: Those that do no harm.
    notes: tuple[str, ...] = ()


def deviations(wanted: Iterable[str], found: Iterable[str]) -> Deviations:
    """Compare facts: what is there besides, and is in nobody's way, is only worth a note."""
    wanted, found = frozenset(wanted), frozenset(found)
    lacking, more = sorted(wanted - found), sorted(found - wanted)
    is_now = dict(_columns(more))
    should_be = dict(_columns(lacking))
    new = {fact.removeprefix("table ") for fact in more if fact.startswith("table ")}
    problems: list[str] = []
    notes: list[str] = []
    for fact in lacking:
        name = _name(fact)
        if name in is_now:
            problems.append(f"The column {name} is {is_now[name]} and should be {should_be[name]}: {_RESTORE}.")
        else:
            problems.append(f"The schema lacks: {fact}; {_what_to_add(fact)}.")
    for fact in more:
        if _name(fact) in should_be or _table(fact) in new - {fact.removeprefix("table ")}:
            continue
        advice = _what_to_drop(fact)
        if advice is None:
            notes.append(f"The schema has besides: {fact}; it is left alone.")
        else:
            problems.append(f"The schema has what it should not have: {fact}; {advice}.")
    return Deviations(tuple(problems), tuple(notes))


def _columns(facts: Iterable[str]) -> Iterator[tuple[str, str]]:
    for fact in facts:
        match = _COLUMN.fullmatch(fact)
        if match is not None:
            yield match["name"], match["kind"]


def _name(fact: str) -> str | None:
    """Return the name of a column; None where the fact is about something else."""
    match = _COLUMN.fullmatch(fact)
    return None if match is None else match["name"]


def _table(fact: str) -> str:
    """Return the table that a fact is about."""
    name = _name(fact)
    if name is not None:
        return name.partition(".")[0]
    match = re.search(r"\bof (\w+)", fact) or re.match(r"table (\w+)", fact)
    return "" if match is None else match[1]


def _what_to_add(fact: str) -> str:
    if _INDEX.match(fact):
        return _MAKE
    return _ADD if fact.startswith(("unique key", "check", "foreign key")) else _RESTORE


def _what_to_drop(fact: str) -> str | None:
    if fact.startswith("column "):
        return _FILL if "NOT NULL" in fact and "DEFAULT" not in fact else None
    if fact.startswith(("index ", "table ")):
        return None
    return _DROP
