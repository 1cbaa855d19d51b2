"""Step types that steer a run: choosing, waiting, approving, starting another job; and the scripted one for tests."""

from __future__ import annotations

from typing import Final

from windlass.model.steptype import StepSpec
from windlass.model.steptypes import fragment as f
from windlass.model.steptypes.local import SHELL

#: Types whose end is not that of an attempt: what they wait for is no content, and no result is kept.
NEVER_CACHED: Final = frozenset({"approval", "job", "wait"})

BRANCH = StepSpec(
    name="branch",
    summary="Run a script or program that chooses among the next steps by lines `##windlass::branch NAME`.",
    schema=SHELL.schema,
    places=SHELL.places,
)

WAIT = StepSpec(
    name="wait",
    summary="Wait for a time or an event without holding a slot.",
    schema=f.config(
        {
            "duration": {**f.DURATION, "description": "how long"},
            "until": {"type": "string", "format": "date-time", "description": "a time, RFC 3339"},
            "event": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type"],
                "properties": {
                    "type": {**f.TEXT, "description": "a glob on the event's type"},
                    "source": {**f.TEXT, "description": "a glob on the sender; Windlass's own have `windlass`"},
                    "filter": {
                        "type": "object",
                        "additionalProperties": {"type": ["string", "number", "boolean"]},
                        "description": "texts that must stand in the event, by dotted path",
                    },
                },
            },
            "timeout": {**f.DURATION, "description": "the longest wait; of an event 7 days unless said"},
        },
        one_of=("duration", "until", "event"),
    ),
    light=True,
)

APPROVAL = StepSpec(
    name="approval",
    summary="Wait until people have approved.",
    schema=f.config(
        {
            "roles": {**f.TEXTS, "description": "who may approve"},
            "count": {"type": "integer", "minimum": 1, "default": 1, "description": "how many must approve"},
            "timeout": {**f.DURATION, "description": "the longest wait; 7 days unless said"},
            "on_timeout": {
                "enum": ["fail", "approve"],
                "default": "fail",
                "description": "what the end of the wait means",
            },
            "message": {**f.TEXT, "description": "what is asked"},
        }
    ),
    in_force=False,
    light=True,
)

JOB = StepSpec(
    name="job",
    summary="Start a run of another job and wait for it.",
    schema=f.config(
        {
            "job": {**f.TEXT, "description": "alias of the job"},
            "revision": {"type": "integer", "minimum": 1, "description": "the newest revision unless said"},
            "with": {"type": "object", "description": "parameters of the child run"},
            "cascade": {
                "type": "boolean",
                "default": True,
                "description": "whether the child run is cancelled with the step that waits for it",
            },
        },
        required=("job",),
    ),
    light=True,
)

FAKE = StepSpec(
    name="fake",
    summary="End as the script says, with no effect on the world; for tests.",
    schema=f.config(
        {
            "outcome": {
                "enum": ["completed", "failed", "timeout", "cancelled", "skipped", "lost"],
                "default": "completed",
                "description": "how an attempt ends",
            },
            "outputs": {"type": "object"},
            "exit_code": {"type": "integer"},
            "message": {"type": "string"},
            "fail_times": {"type": "integer", "minimum": 0, "description": "this many first attempts fail"},
            "log": {"type": "string", "description": "what it writes"},
            "branches": {**f.TEXTS, "description": "the next steps that it chooses"},
            "duration": {**f.DURATION, "description": "how long an attempt takes"},
        }
    ),
    light=True,
)

SPECS = (BRANCH, WAIT, APPROVAL, JOB, FAKE)
