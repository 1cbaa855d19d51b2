"""Waits for events: which event ends which wait, as pure functions over values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final, Generic, TypeVar

from windlass.model.event import EVENT_TYPES

#: Source of the events that Windlass itself tells.
OWN: Final = "windlass"
#: Most characters of the type or source of an event from outside.
LONGEST_NAME: Final = 128
_TYPE: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_./:-]{{0,{LONGEST_NAME - 1}}}")
_OWN_BEGINNINGS: Final = ("run.", "task.")
_GLOB: Final = re.compile(r"[*?\[]")

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class EventPattern:
    """What is waited for: globs on type and source, and texts that stand under dotted paths in the event."""

    type: str
    source: str | None = None
    filter: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> EventPattern:
        """Return what a step's `event` says; values of the filter are compared as texts."""
        texts = {str(name): as_text(value) or "" for name, value in (said.get("filter") or {}).items()}
        return cls(str(said["type"]), said.get("source"), texts)

    def to_json(self) -> dict[str, Any]:
        """Return it as `read` takes it."""
        source = {} if self.source is None else {"source": self.source}
        return {"type": self.type, **source, **({"filter": dict(self.filter)} if self.filter else {})}

    def __str__(self) -> str:
        """Return it for people: `deploy.done from ci with env=prod`."""
        source = "" if self.source is None else f" from {self.source}"
        texts = ", ".join(f"{name}={value}" for name, value in self.filter.items())
        return f"{self.type}{source}{f' with {texts}' if texts else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event as far as waits look at it; `facts` is what the paths of a filter lead into."""

    seq: int
    type: str
    source: str
    project: str
    #: The run that it is about; None where it came from outside.
    run_id: bytes | None
    at: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWait(Generic[Key]):
    """A task that waits for an event."""

    key: Key
    pattern: EventPattern
    project: str
    #: The run that the task belongs to: its own events do not end the wait.
    run_id: bytes
    #: Only events with a greater `seq` count, and none that came later than `until` (microseconds).
    after: int
    until: int


def ends(wait: EventWait[Any], event: Happening) -> bool:
    """Say whether an event is one that a wait waits for."""
    return (
        event.seq > wait.after
        and event.at <= wait.until
        and event.project == wait.project
        and event.run_id != wait.run_id
        and fits(wait.pattern, event)
    )


def fits(pattern: EventPattern, event: Happening) -> bool:
    """Say whether an event is of a type, source and content."""
    return (
        fnmatchcase(event.type, pattern.type)
        and (pattern.source is None or fnmatchcase(event.source, pattern.source))
        and all(as_text(at_path(event.facts, path)) == text for path, text in pattern.filter.items())
    )


def at_path(facts: Any, path: str) -> Any:
    """Return what stands under a dotted path; None where there is nothing. Names may hold dots."""
    if not isinstance(facts, Mapping):
        return None
    if path in facts:
        return facts[path]
    first, _, rest = path.partition(".")
    return at_path(facts[first], rest) if rest and first in facts else None


def as_text(value: Any) -> str | None:
    """Return a value as filters compare it: texts as they are, numbers and booleans as in JSON; None for all others."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


class Waiters(Generic[Key]):
    """Many waits, arranged so that an event is compared with few of them."""

    def __init__(self, waits: Iterable[EventWait[Key]] = ()) -> None:
        """Arrange waits by type, and by the first text of their filter."""
        self._waits: dict[Key, EventWait[Key]] = {}
        self._exact: dict[str, _Alike[Key]] = {}
        self._globs: dict[str, _Alike[Key]] = {}
        #: Waits that are still arranged although they are over.
        self._over = 0
        self.add(waits)

    def __len__(self) -> int:
        """Return how many waits there are."""
        return len(self._waits)

    def __iter__(self) -> Iterator[EventWait[Key]]:
        """Iterate over the waits."""
        return iter(self._waits.values())

    def keys(self) -> KeysView[Key]:
        """Return the keys of the waits."""
        return self._waits.keys()

    def add(self, waits: Iterable[EventWait[Key]]) -> None:
        """Take further waits in, of other keys."""
        for wait in waits:
            self._waits[wait.key] = wait
            kind = self._globs if _GLOB.search(wait.pattern.type) else self._exact
            kind.setdefault(wait.pattern.type, _Alike()).add(wait)

    def drop(self, keys: Iterable[Key]) -> None:
        """Forget waits; what is not there stays so. Costs little for each, however many there are."""
        for key in keys:
            self._over += self._waits.pop(key, None) is not None
        if self._over > len(self._waits):
            rest, self._exact, self._globs, self._over = tuple(self._waits.values()), {}, {}, 0
            self.add(rest)

    def ended_by(self, events: Iterable[Happening]) -> list[tuple[EventWait[Key], Happening]]:
        """Return the waits that events, given in order, end: each once, with the first event that ends it."""
        found: dict[Key, tuple[EventWait[Key], Happening]] = {}
        for event in events:
            for alike in self._of_type(event.type):
                for wait in alike.near(event):
                    if wait.key not in found and self._waits.get(wait.key) is wait and ends(wait, event):
                        found[wait.key] = wait, event
        return list(found.values())

    def types(self) -> frozenset[str] | None:
        """Return which of Windlass's own types somebody waits for, or lately did; None where that is any of them."""
        named = EVENT_TYPES & self._exact.keys()
        globbed = {known for known in EVENT_TYPES for glob in self._globs if fnmatchcase(known, glob)}
        found = named | globbed
        return None if found == EVENT_TYPES else frozenset(found)

    def _of_type(self, name: str) -> Iterable[_Alike[Key]]:
        if name in self._exact:
            yield self._exact[name]
        yield from (alike for glob, alike in self._globs.items() if fnmatchcase(name, glob))


class _Alike(Generic[Key]):
    """Waits for one type, by the first text that they want."""

    def __init__(self) -> None:
        self._any: list[EventWait[Key]] = []
        self._by_text: dict[str, dict[str, list[EventWait[Key]]]] = {}

    def add(self, wait: EventWait[Key]) -> None:
        if not wait.pattern.filter:
            self._any.append(wait)
            return
        path, text = next(iter(wait.pattern.filter.items()))
        self._by_text.setdefault(path, {}).setdefault(text, []).append(wait)

    def near(self, event: Happening) -> Iterable[EventWait[Key]]:
        yield from self._any
        for path, by_text in self._by_text.items():
            yield from by_text.get(as_text(at_path(event.facts, path)) or "", ())


def outside_type(name: str) -> str | None:
    """Say what is wrong with the type of an event from outside; None where nothing is."""
    if not _TYPE.fullmatch(name):
        allowed = f"1 to {LONGEST_NAME} letters, digits and _ . / : -, with a letter or digit first"
        return f'"{name[:80]}" is no type of an event: it has {allowed}'
    if name.startswith(_OWN_BEGINNINGS):
        return f'"{name[:80]}" is a type of Windlass\'s own: events from outside do not begin with "run." or "task."'
    return None


def first_seen(created: int, seen: Sequence[int]) -> int:
    """Return behind which event a wait begins: the acceptance of its run, and what ended the waits before it."""
    return max(created, *seen) if seen else created
