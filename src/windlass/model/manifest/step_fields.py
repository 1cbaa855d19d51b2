"""The fields that a step of a manifest may have."""

from __future__ import annotations

from typing import Any

from windlass.model.in_force import NOT_ACTED_ON
from windlass.model.manifest.kinds import (
    Anything,
    Choice,
    Either,
    Flag,
    Listing,
    MapOf,
    Schema,
    Size,
    Text,
    Whole,
)
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.record import Field, Record, RecordBearer
from windlass.model.manifest.retry_fields import FLAT_RETRY, RETRY
from windlass.model.manifest.words import (
    ALIAS,
    COUNT,
    DURATION,
    ENV,
    FLAG,
    LABELS,
    MAPPING,
    MOST_UNITS,
    RESOURCE,
    STEP_NAME,
    STEP_NAMES,
    TEXT,
    TRIGGER_RULE,
    UNITS,
    VARIABLE_PATTERN,
    Command,
    Condition,
)

NOT_ACTED_ON_FIELDS = {name: Field(Anything(), "known, and not acted on") for name in NOT_ACTED_ON}


class Cache(RecordBearer):
    """true, false, or how a step's result is kept."""

    words = "true, false or a mapping with key and ttl"
    record = Record(
        "cache",
        {
            "key": Field(Listing(TEXT, single=True), "texts and expressions that the kept result depends on"),
            "ttl": Field(DURATION, "how long a result is kept", default=86400),
            "version": Field(Either("text or a number", str=TEXT, int=Whole(0)), "a change of it forgets kept results"),
            "pinDigests": Field(FLAG, "whether images count by digest"),
            "digestTTL": Field(DURATION, "how long a digest is believed"),
        },
    )

    def read(self, value: Any, notes: Notes, path: Path) -> Any:
        """Return the settings, or False."""
        if type(value) is bool:
            return {} if value else False
        return self.record.read(value, notes, path) if type(value) is dict else self.refuse(value, notes, path)

    def schema(self) -> Schema:
        """Return the schema of `cache`."""
        return {"anyOf": [{"type": "boolean"}, self.record.schema()]}


_MATRIX_VALUES = Either(
    "a list, or one expression that gives a list",
    list=Listing(Anything(), least=1),
    str=Text("a list, or one expression that gives a list", pattern=r"\s*\$\{\{[^}]*(?:\}[^}]+)*\}\}\s*"),
)
_TARGETS = Record(
    "targets",
    {
        "target": Field(Listing(TEXT, single=True, unique=True, least=1), "names of targets"),
        "group": Field(Listing(TEXT, single=True, unique=True, least=1), "names of target groups"),
        "selector": Field(LABELS, "labels that a target must have"),
        "maxParallel": Field(COUNT, "how many at a time"),
        "canary": Field(COUNT, "how many first, before all others"),
        "maxFailures": Field(Whole(0), "how many failures stop what has not begun"),
    },
)
_USES = Record(
    "uses",
    {
        "job": Field(ALIAS, "alias of the job to run"),
        "revision": Field(COUNT, "the newest unless said"),
        "with": Field(MAPPING, "parameters of the child run"),
        "cascade": Field(FLAG, "whether the child run is cancelled with the step", default=True),
    },
    required=("job",),
)
_MOUNT = Record(
    "a mount",
    {
        "type": Field(Choice("bind", "volume", "tmpfs"), "what is mounted", default="bind"),
        "source": Field(TEXT, "a path of the host, or the name of a volume"),
        "target": Field(Text("an absolute path", pattern=r"/.*"), "where the container sees it"),
        "readOnly": Field(FLAG, "whether the container may not write", name="read_only", default=False),
        "subPath": Field(TEXT, "a folder inside the source", name="sub_path"),
    },
    required=("target",),
)
_VOLUME_MOUNT = Record(
    "a volume mount",
    {
        "volume": Field(TEXT, "name of one of the job's volumes"),
        "path": Field(Text("an absolute path", pattern=r"/.*"), "where the container sees it", name="target"),
        "readOnly": Field(FLAG, "whether the container may not write", name="read_only", default=False),
        "subPath": Field(TEXT, "a folder inside the volume", name="sub_path"),
    },
    required=("volume", "target"),
)
_RATE_LIMIT = Record(
    "rateLimit",
    {
        "resource": Field(RESOURCE, "name of the limited resource"),
        "units": Field(Whole(0, MOST_UNITS), "how much of it one task takes", default=1),
    },
    required=("resource",),
)
_STEP_RATE_LIMIT = Record(
    "a rate limit of the step",
    {
        "resource": Field(RESOURCE, "name of the limited resource"),
        "limit": Field(UNITS, "units in one window, where the job does not say it"),
        "window": Field(DURATION, "length of the window"),
        "units": Field(Whole(0, MOST_UNITS), "how much of it one task takes", default=1),
    },
    required=("resource",),
)

STEP_FIELDS = {
    "name": Field(STEP_NAME, "unique in the job"),
    "type": Field(TEXT, "the step type, such as shell or container.docker"),
    "config": Field(MAPPING, "what the step type needs"),
    "run": Field(Text(empty=False), "a script for sh; short for type shell"),
    "shell": Field(Command(), "the shell that reads run"),
    "command": Field(Command(), "a program with its arguments, or a script; short for process, shell or a container"),
    "image": Field(TEXT, "an image; short for type container.docker"),
    "engine": Field(Choice("docker", "podman", "kubernetes"), "what runs the image"),
    "workdir": Field(TEXT, "the folder in which the command starts"),
    "mounts": Field(Listing(_MOUNT), "what the container sees of the host"),
    "volumeMounts": Field(Listing(_VOLUME_MOUNT), "which of the job's volumes the container sees"),
    "uses": Field(_USES, "another job to run; short for type job"),
    "next": Field(STEP_NAMES, "steps that wait for this one"),
    "dependsOn": Field(STEP_NAMES, "steps that this one waits for"),
    "triggerRule": Field(TRIGGER_RULE, "what must have become of them", default="all_success"),
    "when": Field(Condition(), "whether the step runs", default=True),
    "branch": Field(Flag(), "whether the step chooses among its next steps", default=False),
    "env": Field(ENV, "variables of its environment"),
    "retry": Field(RETRY, "whether and when a failed attempt is followed by another"),
    **FLAT_RETRY,
    "timeout": Field(DURATION, "running time of one attempt"),
    "allowFailure": Field(FLAG, "whether the run may complete although the step failed"),
    "onFailure": Field(Choice("stop", "continue"), "as allowFailure: continue is true"),
    "continueOnError": Field(FLAG, "as allowFailure"),
    "onWorkerLost": Field(
        Choice("fail", "retry"), "what becomes of an attempt whose worker is gone: fail, for `wait` and `job` retry"
    ),
    "matrix": Field(
        MapOf(_MATRIX_VALUES, names=VARIABLE_PATTERN, names_words="a name (letters, digits and _, no digit first)"),
        "one task for each combination of values",
    ),
    "targets": Field(_TARGETS, "one task for each target"),
    "artifacts": Field(Listing(TEXT, single=True, unique=True), "globs of files to keep"),
    "logQuota": Field(Size(), "bytes of output kept for one attempt"),
    "cache": Field(Cache(), "whether an earlier result may be taken instead"),
    "rateLimit": Field(_RATE_LIMIT, "what one task takes of a limited resource"),
    "rateLimits": Field(Listing(_STEP_RATE_LIMIT), "the same, of several resources"),
    **NOT_ACTED_ON_FIELDS,
}
STEP = Record("the step", STEP_FIELDS, required=("name",))
