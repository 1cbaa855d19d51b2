"""The fields that a job's manifest may have, outside of its steps and triggers."""

from __future__ import annotations

from typing import Any

from windlass.model.manifest.kinds import INVALID, Choice, Flag, Listing, MapOf, Size, Text, Whole
from windlass.model.manifest.parameter_fields import PARAMETER
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.record import Field, Record
from windlass.model.manifest.retry_fields import FLAT_RETRY, RETRY
from windlass.model.manifest.step_fields import NOT_ACTED_ON_FIELDS, STEP, Cache
from windlass.model.manifest.trigger_fields import CALLBACK, TRIGGER
from windlass.model.manifest.words import (
    ALIAS,
    COUNT,
    DURATION,
    ENV,
    LABELS,
    LONG_TEXT,
    MAPPING,
    RESOURCE,
    TEXT,
    UNITS,
    Priority,
)

CONCURRENCY = Record(
    "concurrency",
    {
        "limit": Field(COUNT, "runs at the same time"),
        "maxRuns": Field(COUNT, "as limit", name="limit"),
        "strategy": Field(Choice("queue", "skip", "replace", "fail"), "what becomes of one more", default="queue"),
        "key": Field(TEXT, "an expression; runs with another value do not count"),
    },
)
RATE_LIMIT = Record(
    "a rate limit",
    {
        "resource": Field(RESOURCE, "name of the limited resource"),
        "limit": Field(UNITS, "units in one window"),
        "window": Field(DURATION, "length of the window"),
    },
    required=("resource", "limit", "window"),
)
SLA = Record(
    "sla",
    {
        "duration": Field(DURATION, "a run that has not ended so long after it could begin raises an alert"),
        "completedBy": Field(
            Text("a time of day such as 06:00", pattern=r"([01]\d|2[0-3]):[0-5]\d"),
            "a run that has not ended by then raises an alert; in the zone of the job's first cron trigger that names "
            "one, else UTC",
        ),
    },
)
RETENTION = Record(
    "retention",
    {
        "runs": Field(
            Record("retention.runs", {"days": Field(COUNT, "days"), "last": Field(COUNT, "the newest runs")}),
            "how long runs are kept",
        ),
        "artifacts": Field(Record("retention.artifacts", {"days": Field(COUNT, "days")}), "how long files are kept"),
    },
)
REQUIRES = Record(
    "requires",
    {
        "labels": Field(LABELS, "labels that a worker must have"),
        "pool": Field(ALIAS, "the pool of the workers", default="default"),
        "app": Field(ALIAS, "the application in Python whose code a worker must have: `windlass worker --app`"),
    },
)
DEFAULTS = Record(
    "defaults",
    {
        "retry": Field(RETRY, "retry policy"),
        **FLAT_RETRY,
        "timeout": Field(DURATION, "running time of one attempt"),
        "env": Field(ENV, "variables"),
        "logQuota": Field(Size(), "bytes of output kept for one attempt"),
        "cache": Field(Cache(), "as on a step"),
        "onWorkerLost": Field(Choice("fail", "retry"), "as on a step"),
    },
)
#: Fields that the originals have under metadata, and we at the top too.
LIFTED = {
    "priority": Field(Priority(), "critical, high, normal, low, or 1 to 15"),
    "concurrency": Field(CONCURRENCY, "how many runs at the same time"),
    "rateLimits": Field(Listing(RATE_LIMIT), "limited resources"),
    "sla": Field(SLA, "alerts; nothing is cancelled"),
    "maxParallelTasks": Field(Whole(0), "tasks of one run at the same time; 0 is no limit", default=0),
}
METADATA = Record(
    "metadata",
    {
        "alias": Field(ALIAS, "the job's name, unique in its project"),
        "name": Field(ALIAS, "as alias", name="alias"),
        "title": Field(TEXT, "a name for people"),
        "labels": Field(LABELS, "what jobs are selected by"),
        "annotations": Field(LABELS, "notes"),
        "category": Field(TEXT, "where lists show it"),
        **LIFTED,
        **FLAT_RETRY,
        "cache": Field(Cache(), "the steps' cache"),
        "taskTimeout": Field(DURATION, "the steps' timeout"),
        "runTimeout": Field(DURATION, "the job's timeout"),
        **NOT_ACTED_ON_FIELDS,
    },
    required=("alias",),
)
VOLUME = Record(
    "a volume",
    {
        "name": Field(TEXT, "unique in the job"),
        "source": Field(MAPPING, "one kind of volume: bind, volume, tmpfs, pvc, claimTemplate, volumeSource"),
        "sources": Field(
            MapOf(MAPPING, names="docker|podman|kubernetes", names_words="docker, podman or kubernetes"),
            "the same by engine",
        ),
        "accessMode": Field(Choice("RWO", "ROX", "RWX", "RWOP"), "who may write"),
    },
    required=("name",),
)
FROM = Record(
    "from",
    {"template": Field(ALIAS, "name of a JobTemplate"), "with": Field(MAPPING, "its parameters")},
    required=("template",),
)


class NumberedSteps(Listing):
    """The steps, each with its index in the file: what cannot be read leaves no gap in the others' places."""

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return (index, fields) of every step that is a mapping."""
        if type(value) is not list or not value:
            return super().read(value, notes, path)
        read = self.item.read
        result = []
        for index, entry in enumerate(value):
            if entry is None:
                notes.error((*path, index), f"steps[{index}] is empty")
                continue
            step = read(entry, notes, (*path, index))
            if step is not INVALID:
                result.append((index, step))
        return result


JOB_FIELDS = {
    "$schema": Field(LONG_TEXT, "any text"),
    "apiVersion": Field(Choice("v1"), "v1"),
    "kind": Field(Choice("Job"), "Job"),
    "metadata": Field(METADATA, "what the job is called"),
    "description": Field(LONG_TEXT, "what the job does"),
    "from": Field(FROM, "a template that this document is laid over"),
    "parameters": Field(
        MapOf(PARAMETER, names=r"[A-Za-z_][A-Za-z0-9_.-]{0,127}", names_words="the name of a parameter"),
        "JSON Schema of what a run may be given",
    ),
    "trigger": Field(TRIGGER, "the only trigger"),
    "triggers": Field(Listing(TRIGGER), "what starts runs"),
    "callbacks": Field(Listing(CALLBACK), "who is told of the end of a run"),
    "queue": Field(ALIAS, "where its tasks wait", default="default"),
    "requires": Field(REQUIRES, "which workers may take its tasks"),
    **LIFTED,
    "timeout": Field(DURATION, "time of the whole run"),
    "retry": Field(RETRY, "the steps' retry; short for defaults.retry"),
    "defaults": Field(DEFAULTS, "for every step"),
    "failFast": Field(Flag(), "whether the first failure stops the rest", default=False),
    "retention": Field(RETENTION, "how long runs and files are kept"),
    "volumes": Field(Listing(VOLUME), "volumes that steps mount by name"),
    "steps": Field(NumberedSteps(STEP, least=1), "the nodes of the graph"),
}
JOB = Record("the job", JOB_FIELDS, required=("apiVersion", "kind", "metadata", "steps"))
