"""Masking of secrets in output, as it streams by and in values: linear in the output, whatever the secrets hold."""

from __future__ import annotations

import json
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from windlass.model.secret_forms import codec_of, encoded_forms_of, forms_of
from windlass.model.wrapping import NARROWEST, Unwrapped, encoder_breaks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ahocorasick_rs import BytesAhoCorasick

#: What stands in the place of a secret.
MASK: Final = b"***"

#: A form is searched by its first bytes; what follows is compared at the place itself. So the automaton stays small
#: with a key of a megabyte, and no more than this is ever held back. What an encoder has cut
#: into lines is put together for the search.
_HEAD: Final = 48
#: Where a head may begin whose rest is to come: it has room there with all cuts that an encoder can make.
_NEAR: Final = 2 * _HEAD
#: Matches become a list, so that its size needs a bound: no more than this is searched at once.
_SLICE: Final = 64 * 1024
#: Long forms that may go on beyond a border; only a secret that repeats itself has more.
_OPEN: Final = 64
_BREAKS: Final = b"\r\n"


class Masker:
    """Hides every known form of some secrets; without secrets it returns what it is given."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Prepare the forms of all `secrets`; those shorter than four bytes are left out."""
        secrets = set(secrets)
        self._wrapped = {form for secret in secrets for form in encoded_forms_of(secret)}
        signs = {sign for form in self._wrapped for sign in _signs(form[:_HEAD])}
        self._forms = _Forms({form for secret in secrets for form in forms_of(secret)}, signs)

    @property
    def active(self) -> bool:
        """False where there is nothing to hide."""
        return self._forms.any

    def stream(self) -> MaskStream:
        """Return a new stream that is masked piece by piece."""
        return MaskStream(self)

    def mask_bytes(self, data: bytes) -> bytes:
        """Return `data` with every secret replaced by `***`."""
        if not self.active:
            return data
        stream = self.stream()
        return stream.feed(data) + stream.finish()

    def mask_text(self, text: str) -> str:
        """Return `text` with every secret replaced by `***`."""
        if not self.active:
            return text
        codec = codec_of(text)
        return self.mask_bytes(text.encode("utf-8", codec)).decode("utf-8", codec if codec != "strict" else "replace")

    def mask_json(self, value: Any) -> Any:
        """Return a JSON value with secrets replaced in every string, key and number."""
        if not self.active:
            return value
        match value:
            case str():
                return self.mask_text(value)
            case dict():
                return {self.mask_text(key): self.mask_json(item) for key, item in value.items()}
            case list() | tuple():
                return [self.mask_json(item) for item in value]
            case int() | float() if not isinstance(value, bool):
                text = json.dumps(value)
                return value if self.mask_text(text) == text else MASK.decode()
        return value

    @cached_property
    def _encoded(self) -> _Forms:
        """What may be cut into lines is searched a second time, in the text without the cuts."""
        return _Forms(self._wrapped)

    def held_back(self, lead: bytes, data: bytes) -> int:
        """Return how many of the last bytes of `data` may be the beginning of a secret.

        What stands before the line end of an encoder may go on behind it; `lead` are the bytes before `data`.
        """
        held = self._forms.held_back(data)
        first = max(len(data) - _NEAR, 0)
        near = data[first:]
        breaks = encoder_breaks((lead + data[max(first - NARROWEST, 0) : first])[-NARROWEST:], near)
        if breaks:
            unwrapped = Unwrapped(near, breaks)
            back = self._encoded.held_back(unwrapped.data)
            if back:
                held = max(held, len(near) - unwrapped.place(len(unwrapped.data) - back))
        return held

    def find(self, lead: bytes, data: bytes) -> Iterator[tuple[list[tuple[int, int]], list[bytes]]]:
        """Yield the spans and longer forms of every head in `data`, overlapping ones too; `lead` stands before it."""
        matches, suspicious = self._forms.find(data)
        for start, end, forms in matches:
            yield [(start, end)], forms
        breaks = encoder_breaks(lead, data) if suspicious else []
        if breaks:
            unwrapped = Unwrapped(data, breaks)
            for start, end, forms in self._encoded.find(unwrapped.data)[0]:
                spans = unwrapped.spans(start, end)
                if len(spans) > 1:
                    yield spans, forms


class _Forms:
    """Some forms, found by their heads, and signs that a form may be there in pieces."""

    def __init__(self, forms: Iterable[bytes], signs: Iterable[bytes] = ()) -> None:
        forms = sorted(forms)
        self._heads = _needed(sorted({form[:_HEAD] for form in forms}))
        self._firsts = frozenset(head[0] for head in self._heads)
        self._longest = max(map(len, self._heads), default=0)
        self._long: dict[int, list[bytes]] = {}
        places = {head: place for place, head in enumerate(self._heads)}
        for form in forms:
            if len(form) > _HEAD:
                self._long.setdefault(places[form[:_HEAD]], []).append(form)
        wanted = [*self._heads, *sorted(set(signs) - set(self._heads))]
        self._signs = frozenset(place for place, one in enumerate(wanted) if one in set(signs))
        self._automaton = _automaton(wanted) if self._heads else None

    @property
    def any(self) -> bool:
        return self._automaton is not None

    def held_back(self, data: bytes) -> int:
        """Return how many of the last bytes of a text, all in its last line, may be the beginning of a form."""
        first = max(len(data) - self._longest + 1, data.rfind(b"\n") + 1, 0)
        for start in range(first, len(data)):
            if data[start] in self._firsts:
                tail = data[start:]
                place = bisect_right(self._heads, tail)
                if place < len(self._heads) and self._heads[place].startswith(tail):
                    return len(tail)
        return 0

    def find(self, data: bytes) -> tuple[list[tuple[int, int, list[bytes]]], bool]:
        """Return start, end and longer forms of every head in `data`, overlapping ones too, and if a sign is there."""
        if self._automaton is None:
            return [], False
        matches = self._automaton.find_matches_as_indexes(data, overlapping=True)
        count = len(self._heads)
        found = [(start, end, self._long.get(head, [])) for head, start, end in matches if head < count]
        return found, any(head in self._signs for head, _, _ in matches)


class MaskStream:
    """One stream of output; the result does not depend on how it is cut into pieces."""

    def __init__(self, masker: Masker) -> None:
        """Start with nothing read."""
        self._masker = masker
        self._held = b""
        #: The last bytes before them.
        self._lead = b""
        #: Parts of the held bytes that are already known to belong to a secret.
        self._covered: list[tuple[int, int]] = []
        #: True where the last byte that was given out belonged to a secret.
        self._masking = False
        #: Long forms that have matched up to the last byte read, each with the number of its bytes so far.
        self._open: set[tuple[bytes, int]] = set()

    def feed(self, data: bytes) -> bytes:
        """Return what can be shown after `data`; a few last bytes may stay until more is known."""
        if not self._masker.active:
            return data
        if len(data) <= _SLICE:
            return self._step(data, final=False)
        return b"".join(self._step(data[at : at + _SLICE], final=False) for at in range(0, len(data), _SLICE))

    def finish(self) -> bytes:
        """Return what was held back; nothing may be fed afterwards."""
        return self._step(b"", final=True) if self._masker.active else b""

    def _step(self, data: bytes, *, final: bool) -> bytes:
        known = len(self._held)
        text = self._held + data
        spans = list(self._covered)
        still_open: set[tuple[bytes, int]] = set()
        for form, offset in self._open:
            still_open.update(_extend(form, offset, text, known, spans))
        for found, forms in self._masker.find(self._lead, text):
            spans.extend(found)
            end = found[-1][1]
            # A match within what was held has been followed before.
            for form in forms if end > known else ():
                still_open.update(_extend(form, _HEAD, text, end, spans))
        self._open = still_open if len(still_open) <= _OPEN else set(sorted(still_open, key=lambda one: one[1])[:_OPEN])
        cut = len(text) if final else len(text) - self._masker.held_back(self._lead, text)
        self._held = text[cut:]
        self._lead = (self._lead + text[max(cut - NARROWEST, 0) : cut])[-NARROWEST:]
        return self._replace(text, cut, spans)

    def _replace(self, text: bytes, cut: int, spans: list[tuple[int, int]]) -> bytes:
        self._covered = [(max(start - cut, 0), end - cut) for start, end in spans if end > cut]
        if not spans:
            self._masking = self._masking and not cut
            return text[:cut]
        shown: list[bytes] = []
        done, masking = 0, self._masking
        for start, end in sorted(spans):
            if start >= cut:
                break
            if start > done:
                shown.append(text[done:start])
                masking = False
            if end > done:
                if not masking:
                    shown.append(MASK)
                masking, done = True, min(end, cut)
        if done < cut:
            shown.append(text[done:cut])
            masking = False
        self._masking = masking
        return b"".join(shown)


def _extend(
    form: bytes, offset: int, text: bytes, at: int, spans: list[tuple[int, int]]
) -> Iterable[tuple[bytes, int]]:
    """Follow `form` from `offset` on in `text` from `at` on, over line breaks; give it back if the text ends first."""
    while True:
        length = _common(form, offset, text, at)
        if length:
            spans.append((at, at + length))
        offset, at = offset + length, at + length
        if offset == len(form):
            return ()
        if at == len(text):
            return ((form, offset),)
        if text[at] not in _BREAKS:
            return ()
        while at < len(text) and text[at] in _BREAKS:
            at += 1


def _common(form: bytes, offset: int, text: bytes, at: int) -> int:
    """Return how many bytes of `form` from `offset` and of `text` from `at` are the same."""
    high = min(len(form) - offset, len(text) - at)
    if form[offset : offset + high] == text[at : at + high]:
        return high
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        if form[offset + low : offset + middle] == text[at + low : at + middle]:
            low = middle
        else:
            high = middle
    return low


def _needed(heads: list[bytes]) -> list[bytes]:
    """Return `heads` without those that others, being parts of them, hide anyway: `aaaaaa` beside `aaaa`."""
    if not heads:
        return heads
    automaton = _automaton(heads)
    kept = []
    for head in heads:
        reach = 0
        for start, end in sorted(match[1:] for match in automaton.find_matches_as_indexes(head, overlapping=True)):
            if end - start < len(head) and start <= reach:
                reach = max(reach, end)
        if reach < len(head) or len(head) == _HEAD:
            kept.append(head)
    return kept


def _signs(head: bytes) -> tuple[bytes, bytes]:
    """Return two parts of a head, one of which stands in every text that holds it cut into lines.

    Cuts are so far apart that they leave one of two neighbours alone.
    """
    half = min(len(head), NARROWEST) // 2
    return head[:half], head[half : min(len(head), NARROWEST)]


def _automaton(heads: list[bytes]) -> BytesAhoCorasick:
    from ahocorasick_rs import BytesAhoCorasick  # noqa: PLC0415 - loaded only where there are secrets

    return BytesAhoCorasick(heads)
