"""Canonical content: its digest, its text, and the job value that it means."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from windlass.model.definition import NORMAL_PRIORITY, Job, Requires, Retry, Step, when_lost


def digest(canonical: Mapping[str, Any]) -> str:
    """Return the SHA-256 of canonical content as hexadecimal text: equal meaning, equal digest."""
    return digest_of(to_json(canonical))


def to_json(canonical: Mapping[str, Any]) -> bytes:
    """Return canonical content as JSON with sorted keys: equal content, equal bytes."""
    return orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS)


def digest_of(json: bytes) -> str:
    """Return the digest of what `to_json` gave."""
    return hashlib.sha256(json).hexdigest()


def to_job(canonical: Mapping[str, Any]) -> Job:
    """Return the job that canonical content without errors means."""
    metadata = canonical["metadata"]
    requires = canonical.get("requires", {})
    return Job(
        alias=metadata["alias"],
        steps=tuple(to_step(step) for step in canonical["steps"]),
        title=metadata.get("title"),
        description=canonical.get("description"),
        labels=metadata.get("labels", {}),
        annotations=metadata.get("annotations", {}),
        category=metadata.get("category"),
        parameters=canonical.get("parameters"),
        triggers=tuple(canonical.get("triggers", ())),
        callbacks=tuple(canonical.get("callbacks", ())),
        queue=canonical.get("queue", "default"),
        requires=Requires(
            pool=requires.get("pool", "default"), labels=requires.get("labels", {}), app=requires.get("app")
        ),
        priority=canonical.get("priority", NORMAL_PRIORITY),
        timeout=canonical.get("timeout"),
        fail_fast=canonical.get("failFast", False),
        concurrency=canonical.get("concurrency"),
        rate_limits=tuple(canonical.get("rateLimits", ())),
        sla=canonical.get("sla"),
        max_parallel_tasks=canonical.get("maxParallelTasks"),
        retention=canonical.get("retention"),
    )


def to_step(step: Mapping[str, Any]) -> Step:
    """Return one step of canonical content."""
    retry = step.get("retry")
    return Step(
        name=step["name"],
        type=step["type"],
        config=step.get("config", {}),
        depends_on=tuple(step.get("dependsOn", ())),
        trigger_rule=step.get("triggerRule", "all_success"),
        when=step.get("when"),
        branch=step.get("branch", False) or step["type"] == "branch",
        env=step.get("env", {}),
        retry=Retry() if retry is None else _retry(retry),
        timeout=step.get("timeout"),
        allow_failure=step.get("allowFailure", False),
        on_worker_lost=step.get("onWorkerLost", when_lost(step["type"])),
        matrix=step.get("matrix"),
        targets=step.get("targets"),
        artifacts=tuple(step.get("artifacts", ())),
        log_quota=step.get("logQuota"),
        cache=step.get("cache"),
        rate_limit=step.get("rateLimit"),
        rate_limits=tuple(step.get("rateLimits", ())),
    )


def _retry(policy: Mapping[str, Any]) -> Retry:
    fields = {("max_delay" if name == "maxDelay" else name): value for name, value in policy.items()}
    if "on" in fields:
        fields["on"] = tuple(fields["on"])
    return Retry(**fields)


def from_job(job: Job) -> dict[str, Any]:
    """Return the canonical content of a job value; `to_job` of it is an equal job."""
    metadata: dict[str, Any] = {"alias": job.alias}
    _put(metadata, title=job.title, labels=dict(job.labels), annotations=dict(job.annotations), category=job.category)
    canonical: dict[str, Any] = {"apiVersion": "v1", "kind": "Job", "metadata": metadata}
    requires: dict[str, Any] = {}
    _put(
        requires,
        labels=dict(job.requires.labels),
        pool=None if job.requires.pool == "default" else job.requires.pool,
        app=job.requires.app,
    )
    _put(
        canonical,
        description=job.description,
        parameters=job.parameters,
        triggers=list(job.triggers),
        callbacks=list(job.callbacks),
        queue=None if job.queue == "default" else job.queue,
        requires=requires,
        priority=None if job.priority == NORMAL_PRIORITY else job.priority,
        timeout=job.timeout,
        concurrency=job.concurrency,
        rateLimits=list(job.rate_limits),
        sla=job.sla,
        maxParallelTasks=job.max_parallel_tasks,
        failFast=job.fail_fast or None,
        retention=job.retention,
    )
    if job.parameters is not None:
        canonical["parameters"] = dict(job.parameters)
    steps = canonical["steps"] = [from_step(step) for step in job.steps]
    if len(steps) > 1 and not any("dependsOn" in step for step in steps):
        steps[0]["dependsOn"] = []  # several steps without edges: not in file order
    return canonical


def from_step(step: Step) -> dict[str, Any]:
    """Return the canonical content of one step."""
    result: dict[str, Any] = {"name": step.name, "type": step.type}
    default = Retry()
    retry: dict[str, Any] = {}
    for name in ("attempts", "strategy", "delay", "max_delay", "jitter", "on"):
        value = getattr(step.retry, name)
        if value != getattr(default, name):
            retry["maxDelay" if name == "max_delay" else name] = list(value) if name == "on" else value
    _put(
        result,
        config=dict(step.config),
        dependsOn=list(step.depends_on),
        triggerRule=None if step.trigger_rule == "all_success" else step.trigger_rule,
        when=step.when,
        branch=(step.branch and step.type != "branch") or None,
        env=dict(step.env),
        retry=retry,
        timeout=step.timeout,
        allowFailure=step.allow_failure or None,
        onWorkerLost=None if step.on_worker_lost == when_lost(step.type) else step.on_worker_lost,
        matrix=step.matrix,
        targets=step.targets,
        artifacts=list(step.artifacts),
        logQuota=step.log_quota,
        rateLimit=step.rate_limit,
        rateLimits=list(step.rate_limits),
    )
    if step.cache is not None:
        result["cache"] = dict(step.cache)
    return result


def _put(target: dict[str, Any], **values: Any) -> None:
    """Put what is neither None nor empty."""
    target.update({name: value for name, value in values.items() if value is not None and value not in ({}, [])})
