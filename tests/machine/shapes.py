"""The jobs of the model: small graphs that between them have every way for a task and a run to go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Step:
    """A step, as far as it decides what becomes of its task."""

    name: str
    #: Numbers of the steps before it.
    after: tuple[int, ...] = ()
    rule: str = "all_success"
    #: Starts in all that are not lost, on which failures another one follows, and after how many seconds.
    attempts: int = 1
    on: tuple[str, ...] = ("exit", "error", "connection")
    delay: int = 5
    #: Whether a lost worker lets it start again.
    again_when_lost: bool = False
    allow_failure: bool = False
    #: Whether something is to be decided between the claim and the start.
    when: bool = False

    def manifest(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return it as it is written in a manifest."""
        retry = {"attempts": self.attempts, "delay": self.delay, "strategy": "fixed", "jitter": False, "on": self.on}
        return {
            "dependsOn": [names[step] for step in self.after],
            "triggerRule": self.rule,
            "retry": retry,
            "onWorkerLost": "retry" if self.again_when_lost else "fail",
            "allowFailure": self.allow_failure,
            **({"when": "${{ 1 < 2 }}"} if self.when else {}),
        }


@dataclass(frozen=True)
class Shape:
    """A job."""

    alias: str
    steps: tuple[Step, ...]
    queue: str = "default"
    #: Seconds that its runs have to end.
    timeout: int | None = None
    #: How many of its runs with the same `of` go on at a time, and what becomes of one more.
    limit: int | None = None
    strategy: str = "queue"

    def manifest(self) -> dict[str, Any]:
        """Return the fields of its manifest."""
        names = tuple(step.name for step in self.steps)
        found: dict[str, Any] = {"steps": {step.name: step.manifest(names) for step in self.steps}, "queue": self.queue}
        if self.timeout is not None:
            found["timeout"] = self.timeout
        if self.limit is not None:
            key = "${{ default(parameters.of, 1) }}"
            found["concurrency"] = {"limit": self.limit, "strategy": self.strategy, "key": key}
        return found

    def around(self, steps: set[int], *, before: bool) -> set[int]:
        """Return the steps before `steps`, or those after them, however far."""
        found: set[int] = set()
        left = set(steps)
        while left:
            step = left.pop()
            near = self.steps[step].after if before else [n for n, one in enumerate(self.steps) if step in one.after]
            left |= set(near) - found
            found |= set(near)
        return found


_SHAPES: Final = (
    Shape("single", (Step("a"),)),
    Shape("again", (Step("a", attempts=2, on=("exit", "timeout"), again_when_lost=True),), queue="side"),
    Shape("decided", (Step("a", when=True), Step("b", (0,), when=True, allow_failure=True)), queue="side"),
    Shape("chain", (Step("a"), Step("b", (0,), attempts=2, delay=60), Step("c", (1,)))),
    Shape(
        "diamond",
        (
            Step("a"),
            Step("b", (0,), allow_failure=True),
            Step("c", (0,)),
            Step("d", (1, 2)),
            Step("e", (3,), rule="all_done"),
            Step("z", (3,), rule="always"),
        ),
        queue="side",
    ),
    Shape("brief", (Step("a", again_when_lost=True), Step("b", (0,)), Step("z", (1,), rule="always")), timeout=60),
    Shape("limited", (Step("a"), Step("b", (0,))), limit=1),
    Shape("skipping", (Step("a"), Step("b")), limit=1, strategy="skip"),
    Shape("refusing", (Step("a"),), queue="side", limit=2, strategy="fail"),
)
#: All of them, by alias.
SHAPES: Final = {shape.alias: shape for shape in _SHAPES}
