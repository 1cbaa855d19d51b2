"""The key of a step's result: a digest of everything that the result depends on, and what two keys differ in.

A key is made of parts, each of which is hashed by itself: so it can be told what a result that was not found differs in
from the one that is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from windlass.errors import ExpressionError
from windlass.model.definition import Step
from windlass.model.rendering import Named, References, references_of
from windlass.model.steptypes.control import NEVER_CACHED
from windlass.model.template import Hole, Piece, as_text, split

#: Changes with the meaning of keys: what was kept under an older one is not found any more.
FORMAT: Final = 1
#: Seconds that a result is kept where the step says nothing.
TTL: Final = 86_400.0
_DIGITS: Final = 16
#: Why no result was taken although nobody looked for one.
UNASKED: Final = frozenset({"secret", "not_asked"})


@dataclass(frozen=True, slots=True)
class CacheKey:
    """The key of a result, in hexadecimal digits, and the digests of its parts by name."""

    text: str
    parts: Mapping[str, str]

    def differs(self, parts: Mapping[str, str]) -> tuple[str, ...]:
        """Return the names of the parts in which other `parts` are different, in order."""
        return tuple(name for name in sorted({*self.parts, *parts}) if self.parts.get(name) != parts.get(name))


@dataclass(frozen=True, slots=True)
class KeyTexts:
    """`cache.key` of a step, ready to be evaluated any number of times."""

    texts: tuple[tuple[Piece, ...], ...] = ()
    references: References = field(default_factory=References)

    def values(self, context: Mapping[str, Any]) -> list[Any]:
        """Return what the texts are on the values of an attempt; a text that is one expression keeps its type.

        Raises ExpressionError with one sentence that names the expression.
        """
        return [_value(text, context) for text in self.texts]


def is_cached(step: Step) -> bool:
    """Say whether the results of a step are kept, and taken instead of working for them again."""
    return step.cache is not None and step.type not in NEVER_CACHED


def ttl_of(step: Step) -> float:
    """Return for how many seconds a result of the step is good."""
    return float((step.cache or {}).get("ttl", TTL))


def key_texts(step: Step) -> KeyTexts:
    """Return `cache.key` of a step, compiled. Raises ExpressionError where one cannot be read."""
    texts = tuple(split(text) for text in (step.cache or {}).get("key", ()))
    names = tuple(
        Named(("cache", "key", number), use, piece.expression)
        for number, text in enumerate(texts)
        for piece in text
        if isinstance(piece, Hole)
        for use in piece.expression.uses
    )
    return KeyTexts(texts, references_of(names, []))


def cache_key(parts: Mapping[str, Any]) -> CacheKey:
    """Return the key of `parts`, which are JSON values by name: equal parts have equal keys, others have others."""
    digests = {name: _digest(value) for name, value in sorted(parts.items())}
    return CacheKey(_digest([FORMAT, digests]), {name: digest[:_DIGITS] for name, digest in digests.items()})


def _value(text: Sequence[Piece], context: Mapping[str, Any]) -> Any:
    match text:
        case (Hole(expression=expression),):
            return expression.evaluate(context)
    return "".join(piece if isinstance(piece, str) else _text(piece, context) for piece in text)


def _text(hole: Hole, context: Mapping[str, Any]) -> str:
    value = hole.expression.evaluate(context)
    try:
        return as_text(value)
    except ExpressionError as error:
        raise hole.fail(str(error)) from None


def _digest(value: Any) -> str:
    """Return the hash of a JSON value; the order of names does not count, the kinds of numbers do."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_mapping)
    except (TypeError, ValueError) as error:
        raise ExpressionError(f"a cache key holds what is no JSON: {error}") from None
    return hashlib.sha256(text.encode()).hexdigest()


def _mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
