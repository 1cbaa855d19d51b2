"""The positioned parser: YAML events from libyaml, composed into plain values under limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml._yaml import CParser

from windlass.model.manifest.limits import Limits
from windlass.model.manifest.problem import Problem
from windlass.model.manifest.scalars import BadScalar, resolve

_TAG = "tags such as {tag} are not allowed; write the value plainly, in quotes if it is text"
_MERGE = "merge keys (<<) are not allowed; write the keys out"
_NUL = "the text holds a NUL character (\\0), which no command, variable or file name can carry"


@dataclass(slots=True)
class Parsed:
    """The documents of one text, and what is wrong with the text itself."""

    documents: list[Any] = field(default_factory=list)
    #: Line and column at which each document begins.
    starts: list[tuple[int, int]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    #: True where the text could be read to its end.
    complete: bool = True


@dataclass(slots=True)
class _Frame:
    """A mapping or list that is being filled."""

    value: dict[str, Any] | list[Any]
    anchor: str | None
    #: Key that waits for its value; `_NO_KEY` where the next node is a key, `_DROP` where the value is to be dropped.
    key: Any = None
    #: Values inside, this one included, and aliases replaced inside, and how deep it goes.
    nodes: int = 1
    aliases: int = 0
    height: int = 1
    #: Characters of all texts inside.
    length: int = 0


@dataclass(slots=True)
class _Anchored:
    """What an alias stands for."""

    value: Any
    nodes: int
    aliases: int
    height: int
    length: int


class _Stop(Exception):
    """The rest of the text cannot be read; the problem is noted."""


_NO_KEY = object()
_DROP = object()


def parse(text: str, limits: Limits) -> Parsed:
    """Return all documents of `text` as dicts with string keys, lists, strings, numbers, booleans and None.

    What the schema refuses (tags, merge keys, duplicate keys, keys that are no text) is noted with its position and
    left out, and reading goes on; a text that is no YAML, or over a limit, is read as far as it goes.
    """
    parsed = Parsed()
    composer = _Composer(parsed, limits)
    try:
        composer.run(text)
    except _Stop:
        parsed.complete = False
    except yaml.MarkedYAMLError as error:
        parsed.complete = False
        mark: Any = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1)
        parsed.problems.append(Problem("error", _sentence(error, text[mark.index : mark.index + 1]), mark=place))
    except yaml.reader.ReaderError as error:
        parsed.complete = False
        parsed.problems.append(_unreadable(text, error))
    return parsed


def _sentence(error: yaml.MarkedYAMLError, character: str) -> str:
    """Return libyaml's complaint as one sentence; `character` is what stands there."""
    if character == "\t":
        return "a tab cannot stand here; indent with spaces"
    problem = error.problem or "cannot be read"
    if problem.startswith("mapping values are not allowed"):
        return f'this is no YAML: {problem}; a text that holds ": " stands in quotes, or on lines of its own below `|`'
    context = f" ({error.context})" if error.context else ""
    return f"this is no YAML: {problem}{context}"


def _unreadable(text: str, error: yaml.reader.ReaderError) -> Problem:
    """Return the problem of a character that YAML does not allow."""
    number = error.character if isinstance(error.character, int) else ord(error.character)
    index = text.find(chr(number))
    mark = (text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)) if index >= 0 else (1, 1)
    return Problem("error", f"the control character U+{number:04X} is not allowed in YAML", mark=mark)


class _Composer:
    """Builds values from events, without recursion."""

    def __init__(self, parsed: Parsed, limits: Limits) -> None:
        self.parsed = parsed
        self.limits = limits
        self.stack: list[_Frame] = []
        self.anchors: dict[str, _Anchored] = {}
        self.open_anchors: set[str] = set()
        self.nodes = 0
        self.aliases = 0
        self.repeated = 0

    def run(self, text: str) -> None:
        """Read the whole stream."""
        parser = CParser(text)
        try:
            while True:
                event = parser.get_event()
                kind = type(event)
                if kind is yaml.ScalarEvent:
                    self.scalar(event)
                elif kind is yaml.MappingStartEvent:
                    self.open(event, {})
                elif kind is yaml.SequenceStartEvent:
                    self.open(event, [])
                elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                    self.close(event)
                elif kind is yaml.AliasEvent:
                    self.alias(event)
                elif kind is yaml.DocumentStartEvent:
                    self.document(event)
                elif kind is yaml.StreamEndEvent:
                    return
        finally:
            parser.dispose()

    def document(self, event: Any) -> None:
        """Begin a document."""
        self.anchors.clear()
        self.parsed.starts.append(_mark(event))
        if event.version == (1, 1):
            self.error(event, "manifests are YAML 1.2; remove the line %YAML 1.1")

    def error(self, event: Any, message: str) -> None:
        """Note a problem at the place of an event."""
        if len(self.parsed.problems) < self.limits.findings:
            self.parsed.problems.append(Problem("error", message, mark=_mark(event)))

    def stop(self, event: Any, message: str) -> None:
        """Note a problem and read no further."""
        self.parsed.problems.append(Problem("error", message, mark=_mark(event)))
        raise _Stop

    def count(self, event: Any, nodes: int) -> None:
        """Count values towards the limit."""
        self.nodes += nodes
        if self.nodes > self.limits.nodes:
            self.stop(event, f"the text has more than {self.limits.nodes:,} values, the limit")

    def scalar(self, event: Any) -> None:
        """Take a single value, or a key."""
        self.count(event, 1)
        value: Any = event.value
        if event.tag is not None:
            self.error(event, _TAG.format(tag=_short_tag(event.tag)))
        elif event.implicit[0]:  # plain: neither quoted nor a block
            try:
                value = resolve(value)
            except BadScalar as bad:
                self.error(event, str(bad))
                value = None
        if "\0" in event.value:
            self.error(event, _NUL)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, 1, 0, 0, len(event.value))
        if self.stack:
            self.stack[-1].length += len(event.value)
        self.add(event, value)

    def add(self, event: Any, value: Any) -> None:
        """Put a finished value into the container that is being filled."""
        if not self.stack:
            self.parsed.documents.append(value)
            return
        frame = self.stack[-1]
        frame.nodes += 1
        if type(frame.value) is list:
            frame.value.append(value)
        elif frame.key is _NO_KEY:
            frame.key = self.key(event, frame.value, value)  # type: ignore[arg-type]
        else:
            if frame.key is not _DROP:
                frame.value[frame.key] = value
            frame.key = _NO_KEY

    def key(self, event: Any, mapping: dict[str, Any], value: Any) -> Any:
        """Return the key to use, or `_DROP` where it cannot be one."""
        if type(value) is not str:
            if isinstance(value, (dict, list)):
                self.error(event, "a key must be text, not a list or mapping")
                return _DROP
            shown = event.value if type(event) is yaml.ScalarEvent else value
            self.error(event, f'the key {shown or "null"} is not text; put it in quotes: "{shown}"')
            return _DROP
        if value == "<<" and type(event) is yaml.ScalarEvent and event.implicit[0]:
            self.error(event, _MERGE)
            return _DROP
        if value in mapping:
            self.error(event, f'duplicate key "{value}"')
            return _DROP
        return value

    def open(self, event: Any, value: dict[str, Any] | list[Any]) -> None:
        """Begin a mapping or list."""
        self.count(event, 1)
        if event.tag is not None:
            self.error(event, _TAG.format(tag=_short_tag(event.tag)))
        if len(self.stack) >= self.limits.depth:
            self.stop(event, f"values are nested more than {self.limits.depth} deep, the limit")
        if event.anchor is not None:
            self.open_anchors.add(event.anchor)
            self.anchors.pop(event.anchor, None)
        self.stack.append(_Frame(value, event.anchor, _NO_KEY if type(value) is dict else None))

    def close(self, event: Any) -> None:
        """End a mapping or list and put it into the one around it."""
        frame = self.stack.pop()
        if frame.anchor is not None:
            self.open_anchors.discard(frame.anchor)
            self.anchors[frame.anchor] = _Anchored(frame.value, frame.nodes, frame.aliases, frame.height, frame.length)
        self.account(frame.nodes - 1, frame.aliases, frame.height, frame.length)
        self.add(event, frame.value)

    def account(self, nodes: int, aliases: int, height: int, length: int) -> None:
        """Count what a finished value holds into the container around it."""
        if self.stack:
            outer = self.stack[-1]
            outer.nodes += nodes
            outer.aliases += aliases
            outer.height = max(outer.height, height + 1)
            outer.length += length

    def alias(self, event: Any) -> None:
        """Replace an alias by what it stands for."""
        found = self.anchors.get(event.anchor)
        if found is None:
            known = event.anchor in self.open_anchors
            self.stop(
                event,
                f"the alias *{event.anchor} stands inside of what it names"
                if known
                else f"the alias *{event.anchor} names no anchor above it",
            )
            return
        self.aliases += found.aliases + 1
        if self.aliases > self.limits.aliases:
            self.stop(event, f"aliases are replaced more than {self.limits.aliases} times, the limit")
        if len(self.stack) + found.height > self.limits.depth:
            self.stop(event, f"values are nested more than {self.limits.depth} deep, the limit")
        self.count(event, found.nodes)
        self.repeated += found.length
        if self.repeated > self.limits.document_bytes:
            self.stop(event, f"aliases repeat more than {self.limits.document_bytes:,} characters, the limit")
        self.account(found.nodes - 1, found.aliases + 1, found.height, found.length)
        self.add(event, found.value)


def _mark(event: Any) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1)


def _short_tag(tag: str) -> str:
    """Return a tag as people write it."""
    return tag.replace("tag:yaml.org,2002:", "!!", 1)
