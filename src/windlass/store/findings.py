"""What a store finds about itself that a person may have to do something about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: what it is, why it matters here, and what to do."""

    level: Literal["ok", "warning", "error"]
    #: What was looked at, in a word or two.
    check: str
    #: One sentence without its end mark.
    message: str
