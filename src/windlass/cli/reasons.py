"""The reasons of states in words: JSON has the codes, people get sentences."""

from __future__ import annotations

from typing import Any, Final

from windlass.cli.text import one_line

_WORDS: Final = {
    "exit": "its program failed",
    "error": "it failed",
    "timeout": "its time was over",
    "run_deadline": "the time of the run was over",
    "cancelled": "the run was cancelled",
    "fail_fast": "another step failed",
    "task_failed": "a step failed",
    "internal_error": "an error in Windlass itself",
    "worker_lost": "its worker is gone",
    "quarantined": "three workers in a row were lost with it",
    "supervisor_lost": "the process that starts programs is gone",
    "dependency_failed": "a run that it waited for did not end as it should",
    "expression_error": "an expression cannot be computed",
    "secret_unavailable": "a secret cannot be had",
    "outputs_too_large": "its outputs are too large",
    "oom": "it used more memory than it may",
    "no_worker": "no worker takes it",
}


def reason_text(reason: Any, state: str = "") -> str:
    """Return a reason in one line; nothing where it says no more than `state` does, and a sentence as it is."""
    if not reason or reason == state:
        return ""
    return _WORDS.get(str(reason), one_line(str(reason)))
