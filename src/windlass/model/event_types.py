"""Which events somebody wants to hear of, by names and globs of their types."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final

from windlass.errors import UserError
from windlass.model.did_you_mean import suggestion
from windlass.model.event import EVENT_TYPES

_OWN: Final = ("run.", "task.")
_NAME: Final = re.compile(r"[A-Za-z0-9_./:*?!\[\]-]{1,128}")


class EventTypes(Collection[str]):
    """Types of events: those of Windlass itself by name, those from outside by the globs that may stand for them."""

    def __init__(self, names: Iterable[str] = (), globs: Iterable[str] = ()) -> None:
        """Take names of Windlass's own types, and globs on types from outside."""
        self.names = frozenset(names)
        self.globs = tuple(globs)

    def __contains__(self, name: object) -> bool:
        """Say whether a type is among them; without any name and glob each is."""
        if not self.names and not self.globs:
            return True
        if not isinstance(name, str) or name in EVENT_TYPES:
            return name in self.names
        return any(fnmatchcase(name, glob) for glob in self.globs)

    def __iter__(self) -> Iterator[str]:
        """Yield names and globs, which together mean the same as this."""
        yield from sorted(self.names)
        yield from self.globs

    def __len__(self) -> int:
        """Return how many names and globs there are: 0 is every type."""
        return len(self.names) + len(self.globs)


def read_event_types(wanted: Iterable[str]) -> EventTypes:
    """Return the types that names and globs stand for; none given are all.

    Raises UserError where one can stand for none: nothing is called so, in Windlass or outside.
    """
    names: set[str] = set()
    globs: list[str] = []
    for name in wanted:
        fitting = {known for known in EVENT_TYPES if fnmatchcase(known, name)}
        outside = not name.startswith(_OWN) and _NAME.fullmatch(name) is not None
        if not fitting and not outside:
            there_are = f"; there are {', '.join(sorted(EVENT_TYPES))}, and those that are sent from outside."
            raise UserError(f'There is no event type "{name[:80]}"{suggestion(name, EVENT_TYPES) or there_are}')
        names |= fitting
        if outside and name not in EVENT_TYPES:
            globs.append(name)
    return EventTypes(names, globs)
