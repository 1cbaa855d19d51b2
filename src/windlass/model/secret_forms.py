"""The forms in which a secret may turn up in output: as it is, and as common programs write it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import shlex
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Shorter secrets are not masked: they would hide most of any text.
SHORTEST: Final = 4


def forms_of(secret: str) -> frozenset[bytes]:
    """Return every byte string that is masked for `secret`, none of them shorter than four bytes or with a line break.

    A secret of several lines is taken line by line, as terminals and programs print it; base64 is also made of the
    whole. Surrogates of text that once was no UTF-8 stand for their bytes.
    """
    forms: set[bytes] = set(encoded_forms_of(secret))
    for line in _lines(secret):
        forms.add(_bytes(line))
        forms.update(_bytes(text) for text in _quoted(line))
    return frozenset(form for form in forms if len(form) >= SHORTEST)


def encoded_forms_of(secret: str) -> frozenset[bytes]:
    """Return those forms of `secret` that their encoder may cut into lines: base64 and hexadecimal."""
    forms: set[bytes] = set()
    for raw in map(_bytes, _lines(secret)):
        forms.update((raw.hex().encode(), raw.hex().upper().encode()), _base64(raw))
    for whole in (secret, secret.strip()):
        if len(_bytes(whole)) >= SHORTEST:
            forms.update(_base64(_bytes(whole)))
    return frozenset(form for form in forms if len(form) >= SHORTEST)


def secrets_digest(secrets: Iterable[str]) -> str:
    """Return a text that is the same for the same secrets and tells nothing about them but that."""
    digest = hashlib.sha256()
    for secret in sorted(set(secrets)):
        raw = _bytes(secret)
        digest.update(len(raw).to_bytes(8) + raw)
    return digest.hexdigest()


def codec_of(text: str) -> str:
    """Return the error handler that turns `text` into bytes and back: lone surrogates mostly stand for bad bytes."""
    if text.isascii():
        return "strict"
    bad = {letter for letter in text if "\ud800" <= letter <= "\udfff"}
    if not bad:
        return "strict"
    return "surrogateescape" if all("\udc80" <= letter <= "\udcff" for letter in bad) else "surrogatepass"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", codec_of(text))


def _lines(secret: str) -> set[str]:
    lines = {part.strip() for part in secret.splitlines()}
    return {line for line in lines if len(_bytes(line)) >= SHORTEST}


def _quoted(line: str) -> Iterator[str]:
    for ascii_only in (True, False):
        escaped = json.dumps(line, ensure_ascii=ascii_only)[1:-1]
        yield escaped
        yield escaped.replace("/", "\\/")
        for letter in "<>&":
            escaped = escaped.replace(letter, f"\\u{ord(letter):04x}")
        yield escaped
    yield repr(line)[1:-1]
    yield html.escape(line)
    yield html.escape(line, quote=False)
    yield shlex.quote(line)
    yield line.replace("'", "'\\''")
    raw = _bytes(line)
    for form in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        yield form
        yield _lower_escapes(form)


def _lower_escapes(text: str) -> str:
    first, *rest = text.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])


def _base64(raw: bytes) -> Iterator[bytes]:
    """Yield the characters that any base64 text with `raw` inside must hold, for each of the three alignments.

    A character that also carries bits of a neighbour is not known, so the ends are cut; but where nothing follows, or
    the line end that `echo` writes, the last character is known too.
    """
    for before in range(3):
        first = -(-before * 8 // 6)
        inside = base64.b64encode(bytes(before) + raw)[first : (before + len(raw)) * 8 // 6]
        at_the_end = base64.b64encode(bytes(before) + raw)[first:]
        with_line_end = base64.b64encode(bytes(before) + raw + b"\n")[first:]
        for known in (inside, at_the_end, with_line_end):
            yield known
            yield known.translate(_URL_SAFE)


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
