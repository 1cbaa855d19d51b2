"""The values that a step's expressions see, made of a claim."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from windlass.clock import to_text
from windlass.engine.claim import Claim, StepResult
from windlass.engine.workspace import CONTEXT, Workspace
from windlass.ids import id_text
from windlass.model.environment import Facts, StepEnvironment, build_environment
from windlass.model.rendering import Rendered
from windlass.steps.contract import TaskIdentity

#: What a step gets of the worker's own environment; all else it has is set for it.
_INHERITED: Final = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")


def task_id(run_id: bytes, task: int) -> str:
    """Return the id of a task: its run's, and its index in the run."""
    return f"{id_text(run_id)}.{task}"


def expression_context(claim: Claim, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the roots of expressions for the step of a claim."""
    return {
        "parameters": parameters,
        "steps": {name: _result(result) for name, result in claim.results.items()},
        "run": {
            "id": id_text(claim.run_id),
            "createdAt": to_text(claim.created_at),
            "correlationId": claim.correlation_id,
            "trigger": {} if claim.trigger is None else orjson.loads(claim.trigger),
            "attempt": claim.attempt,
        },
        "job": {"alias": claim.job.alias, "revision": claim.job.number},
        "matrix": claim.values,
        "project": claim.job.project,
    }


def _result(result: StepResult) -> dict[str, Any]:
    value: dict[str, Any] = {"state": result.state, "outputs": result.outputs, "exitCode": result.exit_code}
    if result.items is not None:
        value["items"] = {key: _result(item) for key, item in result.items.items()}
    return value


def step_environment(
    claim: Claim,
    identity: TaskIdentity,
    rendered: Rendered,
    parameters: Mapping[str, Any],
    secret: frozenset[str],
    workspace: Workspace,
    *,
    traceparent: str | None = None,
) -> StepEnvironment:
    """Return the environment of an attempt, and what had to be left out of it."""
    before = {claim.job.graph.names[other] for other in claim.job.graph.predecessors[claim.step_number]}
    return build_environment(
        base={
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            "HOME": str(workspace.scratch / "home"),
            "TMPDIR": str(workspace.scratch / "tmp"),
            "WINDLASS_OUTPUT": str(workspace.scratch / "output"),
            "WINDLASS_ARTIFACTS": str(workspace.artifacts),
            "WINDLASS_CONTEXT": str(context_file(workspace)),
        },
        facts=Facts(
            project=identity.project,
            job=identity.job,
            revision=str(identity.revision),
            run_id=identity.run_id,
            task_id=identity.task_id,
            step=identity.step,
            attempt=str(identity.attempt),
        ),
        env=rendered.env,
        carried=rendered.variables,
        parameters=parameters,
        secret=secret,
        outputs={name: result.outputs for name, result in claim.results.items() if name in before},
        traceparent=traceparent,
    )


def context_file(workspace: Workspace) -> Path:
    """Return the file that `WINDLASS_CONTEXT` names."""
    return workspace.scratch / CONTEXT
