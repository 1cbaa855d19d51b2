"""From the bytes of a file to its text."""

from __future__ import annotations

from windlass.model.manifest.limits import Limits
from windlass.model.manifest.problem import Problem

_BOM = "\ufeff"


def decode(data: bytes | str, limits: Limits) -> tuple[str, Problem | None]:
    """Return the text of a manifest, or an empty one and the reason why it cannot be read."""
    if len(data) > limits.document_bytes:
        return "", _too_large(len(data), limits)
    if isinstance(data, str):
        if not data.isascii():
            try:
                size = len(data.encode())
            except UnicodeEncodeError as error:
                return "", Problem(
                    "error", "the text holds half a surrogate pair; save it as UTF-8", mark=_mark(data, error.start)
                )
            if size > limits.document_bytes:
                return "", _too_large(size, limits)
        text = data
    else:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            before = data[: error.start].decode()
            message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
            return "", Problem("error", message, mark=_mark(before, len(before)))
    text = text.removeprefix(_BOM)
    nul = text.find("\0")
    if nul >= 0:
        return "", Problem("error", "the text holds a NUL character; is this a text file?", mark=_mark(text, nul))
    return text, None


def _too_large(size: int, limits: Limits) -> Problem:
    return Problem("error", f"the text has {size:,} bytes, over the limit of {limits.document_bytes:,}", mark=(1, 1))


def _mark(text: str, index: int) -> tuple[int, int]:
    """Return line and column, from 1, of the character at `index`."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
