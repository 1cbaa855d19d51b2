"""From the document of a job to its canonical content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from windlass.model.catalog import StepCatalog
from windlass.model.definition import NORMAL_PRIORITY
from windlass.model.manifest.edges import take_edges
from windlass.model.manifest.job_fields import JOB, LIFTED
from windlass.model.manifest.kinds import INVALID
from windlass.model.manifest.limits import Limits
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.retry_fields import FLAT_RETRY, take_retry
from windlass.model.manifest.step_shape import StepContext, shape_step
from windlass.model.manifest.volumes import Volumes

_EMPTY: dict[str, Any] = {}
#: What the originals have under metadata, with our name at the top.
_LIFTED = {name: name for name in LIFTED} | {"runTimeout": "timeout"}
#: Fields under metadata that hold for every step.
_OF_STEPS = frozenset({*FLAT_RETRY, "taskTimeout", "cache"})
#: Fields that say nothing about the job's content.
_SAID = ("$schema", "apiVersion", "kind", "from")


def normalise(
    document: Any, catalog: StepCatalog, limits: Limits, notes: Notes
) -> tuple[dict[str, Any], list[int]] | None:
    """Return the canonical content of a job as far as it could be read, and the index in the file of each step.

    What is wrong is added to `notes`. Canonical content has one spelling for each thing, its fields in one order,
    defaults left out, times in seconds, sizes in bytes, priorities in points, the job's defaults put into the steps,
    and each step's edges as `dependsOn` in file order. None where `document` is no mapping.
    """
    job = JOB.read(document, notes, ())
    if job is INVALID:
        return None
    metadata = job.pop("metadata", {})
    _lift(job, metadata, notes)
    _say_idle(document, notes)
    steps, numbers = _steps(job, metadata, document, catalog, limits, notes)
    _triggers(job, notes)
    _without_defaults(job)
    for name in _SAID:
        job.pop(name, None)
    labelled = {name: value for name, value in metadata.items() if value != _EMPTY}
    canonical: dict[str, Any] = {"apiVersion": "v1", "kind": "Job", "metadata": labelled, **job}
    canonical["steps"] = steps
    return canonical, numbers


def _say_idle(document: Mapping[str, Any], notes: Notes) -> None:
    """Tell of what stands there and means nothing."""
    written = document.get("metadata")
    places: tuple[tuple[Path, Any], ...] = (((), document), (("metadata",), written if type(written) is dict else {}))
    for path, fields in places:
        if fields.get("maxParallelTasks") == 0 and type(fields["maxParallelTasks"]) is not bool:
            notes.warning((*path, "maxParallelTasks"), "maxParallelTasks 0 is no limit; leave it out, or say how many")
        sla = fields.get("sla")
        if type(sla) is dict and all(value is None for value in sla.values()):
            notes.error((*path, "sla"), "sla needs duration or completedBy", "key")


def _without_defaults(job: dict[str, Any]) -> None:
    """Leave out what is meant anyway."""
    if "concurrency" in job:
        job["concurrency"] = {"limit": 1, **job["concurrency"]}
    for name in ("requires", "retention", "sla"):
        if name in job:
            job[name] = {key: entry for key, entry in job[name].items() if entry != _EMPTY}
    for name in ("description", "callbacks", "triggers", "rateLimits", "requires", "retention", "sla"):
        if not job.get(name, True):
            del job[name]
    if job.get("priority") == NORMAL_PRIORITY:
        del job["priority"]


def _lift(job: dict[str, Any], metadata: dict[str, Any], notes: Notes) -> None:
    """Move what the originals have under metadata to the top."""
    for name, target in _LIFTED.items():
        if name not in metadata:
            continue
        value = metadata.pop(name)
        if target in job and job[target] != value:
            notes.error(
                ("metadata", name), f"metadata.{name} and {target} say the same thing differently; keep one", "key"
            )
        job[target] = value


def _defaults(job: dict[str, Any], metadata: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """Return what holds for every step, from `defaults`, top-level `retry` and the originals' metadata."""
    if "defaults" not in job and "retry" not in job and _OF_STEPS.isdisjoint(metadata):
        return {}
    defaults = dict(job.pop("defaults", {}))
    retry: dict[str, Any] = {}
    places: tuple[tuple[Path, dict[str, Any] | None], ...] = (
        (("defaults",), take_retry(defaults, notes, ("defaults",))),
        (("retry",), job.pop("retry", None)),
        (("metadata",), take_retry(metadata, notes, ("metadata",))),
    )
    for place, policy in places:
        for name, value in (policy or {}).items():
            _once(retry, name, value, f"retry.{name}", notes, place)
    if retry:
        defaults["retry"] = retry
    for written, name in (("taskTimeout", "timeout"), ("cache", "cache")):
        if written in metadata:
            _once(defaults, name, metadata.pop(written), name, notes, ("metadata", written))
    return defaults


def _once(target: dict[str, Any], name: str, value: Any, what: str, notes: Notes, place: Path) -> None:
    """Set what holds for every step; saying it twice is fine, saying two things is not."""
    if target.setdefault(name, value) != value:
        notes.error(place, f"every step's {what} is said here and elsewhere, differently; keep one", "key")


def _steps(
    job: dict[str, Any],
    metadata: dict[str, Any],
    document: Mapping[str, Any],
    catalog: StepCatalog,
    limits: Limits,
    notes: Notes,
) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the canonical steps and their indexes in the file."""
    numbered = job.pop("steps", [])
    before = take_edges(numbered, document.get("steps"), notes, ("steps",))
    defaults, volumes = _defaults(job, metadata, notes), job.pop("volumes", [])
    repeated = _repeated(defaults, volumes, numbered)
    if repeated > limits.canonical_bytes:
        message = f"defaults and volumes, put into every step, have {repeated:,} bytes"
        notes.error(("steps",), f"{message}, over the limit of {limits.canonical_bytes:,}", "key")
        return [], []
    context = StepContext(catalog, document.get("steps"), defaults, Volumes(volumes, notes, ("volumes",)))
    steps = []
    for (index, fields), names in zip(numbered, before, strict=True):
        if names is not None:
            fields["dependsOn"] = names
        steps.append(shape_step(fields, context, notes, ("steps", index)))
    return steps, [index for index, _ in numbered]


def _repeated(defaults: Any, volumes: Any, numbered: Sequence[tuple[int, Mapping[str, Any]]]) -> int:
    """Return how many bytes it takes, about, to put the defaults into every step and the volumes into their mounts."""
    if not defaults and not volumes:
        return 0
    mounts = sum(len(fields.get("volumeMounts", ())) for _, fields in numbered)
    return len(orjson.dumps(defaults)) * len(numbered) + len(orjson.dumps(volumes)) * mounts


def _triggers(job: dict[str, Any], notes: Notes) -> None:
    """Make `trigger` and `triggers` one list."""
    one = job.pop("trigger", None)
    if one is None:
        return
    if "triggers" in job:
        notes.error(("trigger",), "trigger and triggers both stand here; keep triggers", "key")
        return
    job["triggers"] = [one]
