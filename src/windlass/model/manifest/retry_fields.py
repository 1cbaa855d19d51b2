"""The fields of a retry policy, and the originals' flat spellings of them."""

from __future__ import annotations

import re
from typing import Any

from windlass.model.definition import Retry
from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.kinds import INVALID, Choice, Kind, Listing, Schema, Whole, described, label
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.record import Field, Record
from windlass.model.manifest.words import DELAY, FLAG

_CAUSES = ("exit", "error", "connection", "timeout")
_EXITS = re.compile(r"exit:\s*\d{1,3}(\s*,\s*\d{1,3})*")
_HIGHEST_EXIT = 255
_NEVER = {
    "expression": "a failed expression is never retried; remove it from on",
    "lost": "a lost worker is retried by onWorkerLost: retry, not by on",
}
DEFAULT = Retry()


class Cause(Kind):
    """Why an attempt failed: `exit`, `exit:75,111`, `error`, `connection`, `timeout`."""

    words = "exit, exit:75,111, error, connection or timeout"

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the cause, exit codes sorted; a number alone is an exit code, as in `[exit:75, 111]`."""
        if value in _CAUSES:
            return value
        if type(value) is int:
            value = f"exit:{value}"
        if type(value) is str and _EXITS.fullmatch(value):
            codes = sorted({int(code) for code in value[5:].split(",")})
            if codes[0] >= 1 and codes[-1] <= _HIGHEST_EXIT:
                return f"exit:{','.join(map(str, codes))}"
            notes.error(path, f"{label(path)}: exit codes are numbers from 1 to {_HIGHEST_EXIT}")
            return INVALID
        if type(value) is not str:
            return self.refuse(value, notes, path)
        near = suggestion(value, _CAUSES)
        notes.error(path, _NEVER.get(value) or f"{label(path)} must be {self.words}, not {described(value)}{near}")
        return INVALID

    def schema(self) -> Schema:
        """Return the schema of a cause."""
        code = {"type": "integer", "minimum": 1, "maximum": _HIGHEST_EXIT}
        return {"anyOf": [code, {"enum": list(_CAUSES)}, {"type": "string", "pattern": f"^{_EXITS.pattern}$"}]}


RETRY = Record(
    "retry",
    {
        "attempts": Field(Whole(1, 1000), "starts in all, the first one included"),
        "strategy": Field(Choice("fixed", "linear", "exponential"), "how the delay grows"),
        "delay": Field(DELAY, "time before the second attempt"),
        "maxDelay": Field(DELAY, "the longest delay"),
        "jitter": Field(FLAG, "whether delays are varied, so that many do not come at once"),
        "on": Field(Listing(Cause(), single=True, unique=True, least=1, words="a list of causes"), "what is retried"),
    },
)
#: The originals' spellings, on a step or under metadata.
FLAT_RETRY = {
    "retries": Field(Whole(0, 999), "starts after the first one; `retry.attempts` is this plus one"),
    "retryDelay": Field(DELAY, "as `retry.delay`"),
    "retryBackoff": Field(FLAG, "true doubles the delay each time"),
}
_DEFAULTS: dict[str, Any] = {
    "attempts": DEFAULT.attempts,
    "strategy": DEFAULT.strategy,
    "delay": DEFAULT.delay,
    "maxDelay": DEFAULT.max_delay,
    "jitter": DEFAULT.jitter,
    "on": list(DEFAULT.on),
}


def take_retry(fields: dict[str, Any], notes: Notes, path: Path) -> dict[str, Any] | None:
    """Take `retry` and its flat spellings out of `fields` and return the policy as written, or None without any."""
    policy: dict[str, Any] | None = fields.pop("retry", None)
    flat: dict[str, Any] = {}
    said: dict[str, str] = {}
    if "retries" in fields:
        flat["attempts"] = fields.pop("retries") + 1
        said["attempts"] = "retries"
    if "retryDelay" in fields:
        flat["delay"] = fields.pop("retryDelay")
        flat["strategy"] = "fixed"
        said["delay"] = said["strategy"] = "retryDelay"
    if "retryBackoff" in fields:
        flat["strategy"] = "exponential" if fields.pop("retryBackoff") else "fixed"
        said["strategy"] = "retryBackoff"
    if not flat:
        return policy
    for name, value in (policy or {}).items():
        if flat.get(name, value) != value:
            message = f"{said[name]} and retry.{name} say the same thing differently; keep one"
            notes.error((*path, said[name]), message, "key")
    return {**flat, **(policy or {})}


def without_defaults(policy: dict[str, Any]) -> dict[str, Any]:
    """Return a policy without what is meant anyway; `on` in its usual order."""
    if not policy:
        return policy
    if "on" in policy:
        policy = {**policy, "on": _in_order(policy["on"])}
    return {name: policy[name] for name, default in _DEFAULTS.items() if policy.get(name, default) != default}


def _in_order(causes: list[str]) -> list[str]:
    """Return causes in their usual order, exit codes as one; `exit` stands for every code."""
    codes = {code for cause in causes if cause.startswith("exit:") for code in cause[5:].split(",")}
    found = {cause for cause in causes if not cause.startswith("exit:")}
    if codes and "exit" not in found:
        found.add(f"exit:{','.join(sorted(codes, key=int))}")
    return sorted(found, key=lambda cause: _CAUSES.index(cause.split(":")[0]))
