"""How much work a regular expression is: linear in the text, but a pattern can make each character costly."""

from __future__ import annotations

import re
from typing import Final

_PIECE: Final = re.compile(
    r"""(?P<open>\((?:\?[a-zA-Z-]*:|\?P?<[^>]*>)?) | (?P<close>\)) | (?P<class>\[\^?\]?(?:\\.|[^\]\\])*\])
      | \{(?P<least>[0-9]*)(?:,(?P<most>[0-9]*))?\} | (?P<wide>\\[pP](?:\{[^}]*\}|.)|\\[wWdDsS]|\.) | (?P<one>\\.|.)""",
    re.VERBOSE | re.DOTALL,
)
#: A class or a dot stands for many sequences of bytes.
_WIDE: Final = 20


def states(pattern: str) -> int:
    """Return about how many states `pattern` has once its counted repeats are written out."""
    sums, last = [0], 0
    for match in _PIECE.finditer(pattern):
        if match["open"]:
            sums.append(0)
            continue
        if match["close"]:
            last = sums.pop() if len(sums) > 1 else 0
        elif match["least"] is not None:
            times = max(int(match["least"] or 0), int(match["most"] or 0), 1)
            sums[-1] += last * (times - 1)
            last *= times
            continue
        else:
            last = _WIDE if match["wide"] or match["class"] else 1
        sums[-1] += last
    return max(sum(sums), 1)
