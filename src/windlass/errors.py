"""Every error Windlass raises on purpose, in one tree.

WindlassError
├── UserError              the request was wrong: one sentence says what, where and what to do
│   ├── InvalidDocument    a manifest has findings; carries all of them
│   ├── LimitExceeded      a number was over its limit; names both
│   ├── NotFound           no such object, or not yours to see
│   ├── Conflict           the object is not in the state that the request needs
│   └── Refused            known, but not allowed
├── Unavailable            the store, the owner or a component cannot be reached now
│   ├── ServerGone         the server that was asked has ended, or was never there
│   ├── NobodyWorks        nobody works on runs: what was to be waited for would never come
│   ├── NoRoom             too little room on the disk: nothing new is taken, what runs goes on
│   └── CorruptStore       the database cannot be trusted: nothing is changed, a person must act
├── OutputLost             what a command prints cannot be written
│   └── ReaderGone         nobody reads it any more
├── RunNotCompleted      a run that was waited for failed, was cancelled or ran out of time
├── StillRunning         a run was waited for, and goes on
├── ExpressionError        an expression could not be evaluated on the values it met
└── Unexpected             a fault of Windlass itself: an error id stands for what its log tells
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar


class WindlassError(Exception):
    """Base of all errors raised on purpose; its text is meant for a person."""

    #: Exit code of the command line: 2 the request was wrong, 3 something is out of reach.
    exit_code: ClassVar[int] = 2
    #: Status of the HTTP answer.
    status: ClassVar[int] = 500


class UserError(WindlassError):
    """The request was wrong; nothing was changed."""

    status = 422


class InvalidDocument(UserError):
    """One or more documents have findings of level error; nothing was changed."""

    def __init__(self, findings: Sequence[Any]) -> None:
        """Keep all `findings` (`model.finding.Finding`); the text is one line for each."""
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = tuple(findings)


class LimitExceeded(UserError):
    """Something is larger than a limit of the settings allows."""

    def __init__(self, what: str, actual: int, limit: int) -> None:
        """Name the thing, its number and the limit."""
        super().__init__(f"{what}: {actual:,} is over the limit of {limit:,}")
        self.what = what
        self.actual = actual
        self.limit = limit


class NotFound(UserError):
    """No such object, or not one that the caller may see."""

    status = 404


class Conflict(UserError):
    """The object is not in the state that the request needs."""

    status = 409


class Refused(UserError):
    """The caller is known but may not do this."""

    status = 403


class Unavailable(WindlassError):
    """The store, its owner or a needed component cannot be reached now; trying later may help."""

    exit_code = 3
    status = 503

    def __init__(self, message: str) -> None:
        """Keep the sentence on one line, whatever a component that it quotes has written."""
        super().__init__(" ".join(line.strip() for line in message.splitlines() if line.strip()))


class ServerGone(Unavailable):
    """The server that was asked has ended or does not answer; another may take its place."""


class NobodyWorks(Unavailable):
    """Nobody works on runs, so that a wait for one would have no end."""


class NoRoom(Unavailable):
    """The disk of the store has too little room: nothing new is taken until it has."""

    status = 507


class CorruptStore(Unavailable):
    """The database cannot be trusted; nothing was changed, a person must act."""


class OutputLost(WindlassError):
    """What a command prints cannot be written: a full disk, a terminal that is gone."""

    exit_code = 3


class ReaderGone(OutputLost):
    """Whoever read what a command prints went away, as `head` does; this is no error of the command."""

    exit_code = 0


class RunNotCompleted(WindlassError):
    """A run that was waited for ended in another way than completed."""

    exit_code = 1
    status = 409

    def __init__(self, message: str, *, run_id: str, state: str, reason: str | None) -> None:
        """Keep the run's id, its final state and the reason beside the sentence."""
        super().__init__(message)
        self.run_id = run_id
        self.state = state
        self.reason = reason


class StillRunning(WindlassError, TimeoutError):
    """A run did not end within the time that somebody waited; it goes on."""

    status = 409


class ExpressionError(WindlassError):
    """An expression could not be evaluated on the values it met."""

    status = 422


class Unexpected(WindlassError):
    """A fault of Windlass itself; the text names the error id under which a log has the details."""

    exit_code = 3
