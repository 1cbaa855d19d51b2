"""Who asked for a unit of work: people and tokens, by whatever door they came; None where Windlass acts by itself."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class Actor:
    """Who asks, as audit entries name them."""

    name: str
    #: How they came in: `local`, `user`, `token`.
    kind: str
    #: Where they ask from; None on the same machine.
    address: str | None
    #: The id of the request.
    request: str
    #: How often something was noted of what they did.
    noted: int = 0


#: Whoever asks for what is run in this context.
ACTOR: Final[ContextVar[Actor | None]] = ContextVar("actor", default=None)
