"""Whether a failed attempt is followed by another one, and when: a decision, not an effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from windlass.model.definition import Retry
from windlass.model.outcome import Failed, Outcome, TimedOut

#: Lost attempts in a row after which a task is set aside: something about it ends its workers.
QUARANTINE_AFTER = 3
#: Longest delay in seconds that a step may name itself: what is longer, or no time at all, is a mistake of the step.
LONGEST_DELAY: Final = 366 * 24 * 3600.0
#: Kinds of failure that no policy retries: the same would happen again, or `onWorkerLost` decides.
_NEVER: Final = frozenset({"expression", "lost", "poison"})


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Another attempt after `delay` seconds, or none, with the reason."""

    delay: float | None
    reason: str

    @property
    def retries(self) -> bool:
        """Say whether there is another attempt."""
        return self.delay is not None


def decide_retry(policy: Retry, outcome: Outcome, attempts: int, chance: float) -> RetryDecision:
    """Decide on an attempt that ended with `outcome`.

    `attempts` counts the starts so far, without lost ones; `chance` is a number in [0, 1) that spreads the delay.
    """
    kind = _kind(outcome)
    if kind is None:
        return RetryDecision(None, "not a failure")
    if isinstance(outcome, Failed) and not outcome.may_retry:
        return RetryDecision(None, "the step said that another attempt is of no use")
    exit_code = outcome.exit_code if isinstance(outcome, Failed) else None
    if kind in _NEVER or not any(_matches(entry, kind, exit_code) for entry in policy.on):
        return RetryDecision(None, f"the policy does not retry {kind}")
    if attempts >= policy.attempts:
        return RetryDecision(None, f"attempt {attempts} of {policy.attempts} was the last")
    named = outcome.retry_after if isinstance(outcome, Failed) else None
    if named is not None and -LONGEST_DELAY <= named <= LONGEST_DELAY:  # False for NaN
        return RetryDecision(max(named, 0.0), "the step named the delay")
    return RetryDecision(delay_before(policy, attempts + 1, chance), f"attempt {attempts} of {policy.attempts}")


def delay_before(policy: Retry, attempt: int, chance: float) -> float:
    """Return the seconds between the end of the attempt before and the start of `attempt` (2 is the first retry).

    With jitter the delay lies between half of the computed one and all of it.
    """
    past = attempt - 2
    if policy.strategy == "fixed":
        delay = policy.delay
    elif policy.strategy == "linear":
        delay = policy.delay * (past + 1)
    else:
        delay = policy.delay * 2.0 ** min(past, 64)
    delay = min(delay, policy.max_delay)
    return delay * (0.5 + chance / 2) if policy.jitter else delay


def _kind(outcome: Outcome) -> str | None:
    if isinstance(outcome, Failed):
        return outcome.kind
    return "timeout" if isinstance(outcome, TimedOut) else None


def _matches(entry: str, kind: str, exit_code: int | None) -> bool:
    name, _, codes = entry.partition(":")
    if name != kind:
        return False
    return not codes or str(exit_code) in {code.strip() for code in codes.split(",")}
