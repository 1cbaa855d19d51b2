"""The fast way for plain documents: yaml-rs, where what it reads is what the positioned parser reads.

A text goes this way only if every line of it has one of a few plain forms, in which nothing can be read in two ways:
no anchors, tags, directives, merge keys, complex keys, escapes beyond the usual, tabs, multi-line scalars other than
simple blocks, flow collections over several lines, or numbers of unusual form. Everything else, and every text in which
anything at all is found wrong, is read by the positioned parser. A property test compares the two.
"""

from __future__ import annotations

import re
import sys
import threading
from functools import lru_cache

import orjson

from windlass.model.manifest.events import Parsed
from windlass.model.manifest.json_text import is_within
from windlass.model.manifest.limits import Limits

#: The expression for lines takes memory by the length of a line: longer texts go the other way.
_LONGEST = 256 * 1024
_MARKER = re.compile(r"^---$", re.MULTILINE)
#: What may stand before the first marker without being a document.
_NOTHING = re.compile(r"(?: *(?:#[^\n]*)?\n)*")


def parse_fast(text: str, limits: Limits) -> Parsed | None:
    """Return the documents of a plain text, or None where only the positioned parser may judge it."""
    if len(text) > _LONGEST or not _is_ready() or not _is_plain(text):
        return None
    import yaml_rs  # noqa: PLC0415 - see _is_ready

    try:
        value = yaml_rs.loads(text, parse_datetime=False)
        orjson.dumps(value)  # refuses keys that are no text
    except (ValueError, TypeError, RecursionError):
        return None
    starts = _starts(text)
    documents = [value] if len(starts) == 1 else value
    if not isinstance(documents, list) or len(documents) != len(starts):
        return None
    if not all(isinstance(document, dict) for document in documents):
        return None
    if not _is_small(text, limits) and not all(is_within(document, limits) for document in documents):
        return None
    return Parsed(documents, starts)


def _is_ready() -> bool:
    """Load yaml-rs if this is the main thread, and say whether it is loaded.

    Its allocator belongs to the thread that loads it: once that thread has ended, the process crashes.
    """
    if "yaml_rs" in sys.modules:
        return True
    if threading.current_thread() is not threading.main_thread():
        return False
    import yaml_rs  # noqa: F401, PLC0415 - for its effect

    return True


def _is_plain(text: str) -> bool:
    """Say whether `text` is nothing but plain lines."""
    if not text.endswith("\n") or not text.replace("\n", "").isprintable():
        return False
    match = _plain_lines().match
    at = 0
    while at < len(text):
        found = match(text, at)
        if found is None:
            return False
        at = found.end()
    return True


def _is_small(text: str, limits: Limits) -> bool:
    """Say whether a plain text is too short, and indented too little, to come near the limits.

    A value begins at most ten columns right of its line's indentation, each column holds at most a mapping and a list,
    and a flow collection is at most three deep.
    """
    indented = (limits.depth - 4) // 2 - 10
    return len(text) < limits.nodes and indented > 0 and f"\n{' ' * indented}" not in text


def _starts(text: str) -> list[tuple[int, int]]:
    """Return the places at which documents begin: at the first line, and at every marker."""
    markers = [match.start() for match in _MARKER.finditer(text)] if "---" in text else []
    if not markers:
        return [(1, 1)]
    nothing = _NOTHING.match(text)
    first = [] if nothing is not None and nothing.end() >= markers[0] else [(1, 1)]
    line = 1
    at = 0
    for marker in markers:
        line += text.count("\n", at, marker)
        at = marker
        first.append((line, 1))
    return first


@lru_cache(maxsize=1)
def _plain_lines() -> re.Pattern[str]:
    """Return the expression for a few plain lines, each of which may be a key with the block of text under it.

    Each part can match in one way only, so that no text makes it slow; what takes a run of characters never gives any
    back (`++`), for what may follow it begins with none of them.
    """
    key = r"""(?:[A-Za-z_$][A-Za-z0-9_.$/-]*+|"[^"\\\n]++"|'[^'\n]++')"""
    double = r'"(?:[^"\\\n]++|\\["\\/nt])*"'
    single = r"'(?:[^'\n]++|'')*'"
    number = r"[0-9]{1,15}(?:\.[0-9]{1,9}|[smhd](?:[0-9]{1,9}[smhd]){0,3})?"
    in_block = r"(?:[A-Za-z_/$(]|\./|--?[A-Za-z])(?:[^\n:# ]++|:(?=[^ \n])|(?<! )#| +(?=[^#\n ]))*"
    in_flow = r"(?:[A-Za-z_/$]|\./|--?[A-Za-z])(?:[A-Za-z0-9_./$@=+-]++|:(?=[A-Za-z0-9_./])| (?=[A-Za-z0-9_./$@=+-]))*"
    scalar = f"(?:{double}|{single}|{in_flow}|{number})"
    item = scalar
    for _ in range(2):
        pair = rf"{key}: {{1,4}}{item}"
        item = rf"(?:{scalar}|\[ ?(?:{item}(?: ?, ?{item})*)? ?\]|\{{ ?(?:{pair}(?: ?, ?{pair})*)? ?\}})"
    value = rf"(?:{double}|{single}|{number}(?= |\n)|{in_block}|{item})"
    line = rf" *+(?:- {{1,4}}){{0,2}}(?:{key}:(?: {{1,16}}{value})?|(?<=- ){value})(?: +#[^\n]*| *)\n"
    block = rf"( *+)(?:- |{key}: )[|>]-?\n(\1  ++)[^ \n][^\n]*\n(?:\2[^\n]*\n|\n)*"
    block_in_list = rf"( *+)- {key}: [|>]-?\n(\3    *+)[^ \n][^\n]*\n(?:\4[^\n]*\n|\n)*"
    other = r" *+(?:#[^\n]*)?\n|---\n"
    # No text is of two forms: the usual one first. Nothing follows the last line, so that none is ever taken back.
    return re.compile(f"(?:{line}|{block}|{block_in_list}|{other}){{1,16}}")


_is_ready()  # now, so that other threads find it loaded later
