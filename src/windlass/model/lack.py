"""Which worker a task lacks, and what to start for it: all advice of that kind is made here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from windlass.model.cause import Cause, cause

#: The pool of a worker whose settings name none.
_POOL: Final = "default"
_SERVER: Final = "windlass up"
_WORKER: Final = "windlass worker"
#: What stands for the place of an application, which the store does not know.
_WHERE: Final = "MODULE:NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a worker must be to take certain tasks."""

    queue: str
    pool: str = _POOL
    labels: Mapping[str, str] = field(default_factory=dict)
    #: A step type that not every worker has; None where every worker has what it takes.
    step_type: str | None = None
    #: The application in Python whose code it must have; None where none is asked for.
    app: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        more = {"stepType": self.step_type, "app": self.app}
        said = {"queue": self.queue, "pool": self.pool, "labels": dict(self.labels)}
        return said | {name: value for name, value in more.items() if value is not None}

    def __str__(self) -> str:
        """Return it as the end of a sentence."""
        labels = ", ".join(f"{key}={value}" for key, value in self.labels.items())
        told = f"queue {self.queue}, pool {self.pool}" + (f", labels {labels}" if labels else "")
        told += "" if self.app is None else f", application {self.app}"
        return told if self.step_type is None else f"{told}, step type {self.step_type}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """That no worker takes what needs one such as `need`."""

    need: Need
    #: Whether somebody does the duties of the store, so that only a worker is missing.
    served: bool
    #: Workers that are at work.
    others: int = 0
    #: Workers that serve it, and were told to take no more.
    draining: int = 0
    #: Workers are at work, and none of them has the step type; the same of the application.
    without_type: bool = False
    without_app: bool = False

    @property
    def command(self) -> str:
        """The command that starts such a worker."""
        labels = ",".join(f"{key}={one}" for key, one in self.need.labels.items())
        if not self.served and self.need.app is None:
            said = {"WINDLASS_POOL": "" if self.need.pool == _POOL else self.need.pool, "WINDLASS_LABELS": labels}
            return " ".join([*(f"{name}={shlex.quote(one)}" for name, one in said.items() if one), _SERVER])
        said = {
            "--app": "" if self.need.app is None else _WHERE,
            "--pool": "" if self.need.pool == _POOL else self.need.pool,
            "--labels": labels,
        }
        return " ".join([_WORKER, *(f"{name} {shlex.quote(one)}" for name, one in said.items() if one)])

    @property
    def advice(self) -> str:
        """What to do, as the end of a sentence."""
        if self.without_type and not self.without_app:
            return "install the package that brings the step type for such a worker, and start that again"
        if self.draining:
            again = "it takes" if self.draining == 1 else "they take"
            return f"{again} work again after `windlass worker slots NAME N`, or start `{self.command}`"
        if self.need.app is None:
            return f"start `{self.command}`"
        server = "" if self.served else f"`{_SERVER}` and "
        return f"start it with {server}`{self.command}`, or start the program that it is"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as `waitingFor` of a run has it."""
        return {
            "worker": self.need.to_json(),
            "command": self.command,
            "advice": self.advice,
            "others": self.others,
            "draining": self.draining,
        }

    def cause(self) -> Cause:
        """Return it as the cause of a queued task."""
        need = self.need
        needs = f'queue "{need.queue}", pool "{need.pool}"' + "".join(
            f", {name}={value}" for name, value in sorted(need.labels.items())
        )
        facts = need.to_json() | {"command": self.command}
        if self.without_app:
            message = f'It waits for a worker with the application "{need.app}": {self.advice} ({needs}).'
            return cause("no_worker", message, **facts)
        if self.without_type:
            message = (
                f'No worker that lives has the step type "{need.step_type}": install the package that brings it for a '
                f"worker, and start that again ({needs})."
            )
            return cause("no_worker", message, **facts)
        needs += "" if need.step_type is None else f', step type "{need.step_type}"'
        needs += "" if need.app is None else f', application "{need.app}"'
        if self.draining:
            message = f"Every worker that serves it was told to take no more ({needs}): {self.advice}."
            return cause("workers_drain", message, workers=self.draining, **facts)
        return cause("no_worker", f"No worker that lives serves it ({needs}): {self.advice}.", **facts)


def nobody_works(*, served: bool, draining: int = 0) -> str:
    """Return that no worker takes work, as a clause, with what starts one."""
    start = f"`{_WORKER if served else _SERVER}` does"
    if draining:
        return f"nobody takes work: {draining} {'drains' if draining == 1 else 'drain'}, {start}"
    return f"nobody works on runs: {start}"
