"""What a run of a job would do, worked out as far as it can be known before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.errors import ExpressionError
from windlass.model.definition import Job, Step
from windlass.model.fanout import Cell, Expansion
from windlass.model.graph import StepGraph
from windlass.model.rendering import CompiledStep

#: Cells of one step that are shown one by one.
SHOWN_CELLS = 20


def preview_step(
    step: Step, compiled: CompiledStep, context: Mapping[str, Any], cells: tuple[Cell, ...] | None
) -> dict[str, Any]:
    """Return what is known of a step before its run: rendered for each cell, secrets by name, what it waits for."""
    shown = (Cell("", {}),) if cells is None else cells[:SHOWN_CELLS]
    return {
        "name": step.name,
        "type": step.type,
        "dependsOn": list(step.depends_on),
        "triggerRule": step.trigger_rule,
        "when": step.when,
        "branch": step.branch,
        "tasks": 1 if cells is None else len(cells),
        "maxAttempts": step.retry.attempts,
        "timeout": step.timeout,
        "allowFailure": step.allow_failure,
        "targets": step.targets,
        "secrets": list(compiled.references.secrets),
        "cells": [_cell(step, compiled, {**context, "matrix": cell.values}, cell) for cell in shown],
    }


def _cell(step: Step, compiled: CompiledStep, context: Mapping[str, Any], cell: Cell) -> dict[str, Any]:
    """Return one task as it would be: `rendered` is false where its values are known only once the run is under way."""
    steps = sorted(compiled.references.steps)
    if steps:
        reason = f"it reads results of {', '.join(steps)}"
        return _as_written(step, cell, rendered=False, reason=reason)
    try:
        rendered = compiled.render(context, {reference: reference for reference in compiled.references.secrets})
    except ExpressionError as error:
        return _as_written(step, cell, rendered=False, reason=str(error))
    if not rendered.when:
        return _as_written(step, cell, rendered=True, reason="when is false: it would be skipped") | {"runs": False}
    return {
        "key": cell.key,
        "rendered": True,
        "runs": True,
        "reason": None,
        "config": rendered.config,
        "env": dict(rendered.env),
        "variables": dict(rendered.variables),
    }


def _as_written(step: Step, cell: Cell, *, rendered: bool, reason: str) -> dict[str, Any]:
    return {
        "key": cell.key,
        "rendered": rendered,
        "runs": None,
        "reason": reason,
        "config": step.config,
        "env": dict(step.env),
        "variables": {},
    }


def preview_job(
    job: Job,
    graph: StepGraph,
    compiled: tuple[CompiledStep, ...],
    context: Mapping[str, Any],
    expansion: Expansion | None,
) -> list[dict[str, Any]]:
    """Return the steps of a job as a run would find them, in topological order."""
    return [
        preview_step(
            job.steps[number], compiled[number], context, None if expansion is None else expansion.cells[number]
        )
        for number in graph.order()
    ]
