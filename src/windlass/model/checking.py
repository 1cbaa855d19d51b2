"""What lint says of the expressions of a step: names that mean nothing, and places where a value could become code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from windlass.model.expressions.analysis import did_you_mean
from windlass.model.rendering import CompiledStep, Named, compile_step
from windlass.model.step_order import StepOrder

if TYPE_CHECKING:
    from windlass.model.definition import Job, Step
    from windlass.model.finding import Level, Within
    from windlass.model.steptype import StepSpec

_WHEN = ("when",)
#: Path within the step, level, one sentence, and where in the text at the path that is, where it is known.
Found = tuple[tuple[str | int, ...], "Level", str, "Within | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What expressions may name. `Scope.of(job)` is that of the job, `.at(step)` that of one of its steps."""

    #: The job's `parameters` block; None: any names.
    parameters: Mapping[str, Any] | None
    steps: StepOrder
    #: The step whose expressions are checked; None for those of the job, which know no steps.
    step: str | None = None
    #: Names of the matrix; None where the step has none.
    matrix: frozenset[str] | None = None
    #: Whether the step runs once for each target.
    has_target: bool = False

    @staticmethod
    def of(job: Job) -> Scope:
        """Return the scope of a job's own expressions."""
        return Scope(parameters=job.parameters, steps=StepOrder({step.name: step.depends_on for step in job.steps}))

    def at(self, step: Step) -> Scope:
        """Return the scope of `step`, a step of the same job."""
        matrix = None if step.matrix is None else frozenset(step.matrix)
        return replace(self, step=step.name, matrix=matrix, has_target=step.targets is not None)


def check_step(step: Step, spec: StepSpec, scope: Scope) -> list[Found]:
    """Return what is wrong with the expressions of `step`; see `Found`."""
    return check_compiled(compile_step(step, spec), scope)


def check_compiled(compiled: CompiledStep, scope: Scope) -> list[Found]:
    """Return what is wrong with the expressions of a compiled step; see `Found`."""
    if compiled.is_constant and not compiled.problems:
        return []
    found: list[Found] = [(one.path, one.level, one.message, one.within) for one in compiled.problems]
    asked_for = {(named.expression, named.use.path) for named in compiled.names if named.use.optional}
    guarded = {named.use.path for named in compiled.names if named.use.optional and named.path == _WHEN}
    for named in compiled.names:
        found.extend(_check_name(named, scope))
        if (named.expression, named.use.path) not in asked_for and named.use.path not in guarded:
            found.extend(_check_missing(named, scope))
        if named.path == _WHEN:
            found.extend(_check_condition(named, scope))
    return found


def _check_missing(named: Named, scope: Scope) -> list[Found]:
    """Warn of a parameter that need not be given, where the expression fails without it."""
    schema = _parameter(named, scope)
    if schema is None or "type" not in schema or "default" in schema or schema.get("required") is True:
        return []
    path = named.use.path
    told = f"{path} need not be given and has no default, and this fails without it: write default({path}, ...), "
    said = f"{named.expression}: {told}or give the parameter `required: true` or a default"
    return [(named.path, "warning", said, named.within)]


def _check_condition(named: Named, scope: Scope) -> list[Found]:
    """Refuse a `when` that is nothing but a parameter of another type than true or false."""
    schema = _parameter(named, scope)
    if schema is None or not named.expression.is_path or schema.get("type", "boolean") == "boolean":
        return []
    said = f"`when` must give true or false, and {named.use.path} is of the type {schema['type']}"
    return [(named.path, "error", f"{named.expression}: {said}", named.within)]


def _parameter(named: Named, scope: Scope) -> Mapping[str, Any] | None:
    """Return the schema of the parameter that an expression names as a whole; None where it names something else."""
    match named.use.path.keys:
        case ("parameters", name) if scope.parameters is not None:
            found: Mapping[str, Any] | None = scope.parameters.get(name)
            return found
    return None


def _check_name(named: Named, scope: Scope) -> list[Found]:  # noqa: PLR0911 - one return a root
    """Return what is wrong with one path of an expression."""
    keys = named.use.path.keys

    def say(message: str, level: Level = "error") -> list[Found]:
        return [(named.path, level, f"{named.expression}: {message}", named.within)]

    match keys:
        case ("parameters", name, *_) if scope.parameters is None:
            return (
                []
                if named.use.optional
                else say(f'the job has no `parameters` block, so nothing says that a run is given "{name}"', "warning")
            )
        case ("parameters", name, *_) if name not in (scope.parameters or {}):
            return say(f'unknown parameter "{name}"{did_you_mean(name, scope.parameters or {})}')
        case ("steps", name, *_):
            return _check_step_name(name, scope, say)
        case ("matrix", *_) if scope.matrix is None:
            return say("the step has no `matrix`")
        case ("matrix", name, *_) if name not in (scope.matrix or ()):
            return say(f'the matrix has no "{name}"{did_you_mean(name, scope.matrix or ())}')
        case ("target", *_) if not scope.has_target:
            return say("the step has no `targets`")
        case ("env", *_) if named.path[0] != "config":
            return say("env is known in the step's config only")
    return []


def _check_step_name(name: str, scope: Scope, say: Any) -> list[Found]:
    """Return what is wrong with the name of a step."""
    actual = scope.steps.named(name)
    if actual is None:
        return say(f'unknown step "{name}"{did_you_mean(name, scope.steps.predecessors)}')  # type: ignore[no-any-return]
    if scope.step is None:
        return say("no step has run yet when this is evaluated")  # type: ignore[no-any-return]
    if not scope.steps.comes_before(actual, scope.step):
        return say(f'step "{actual}" does not come before this one; add it to `dependsOn`')  # type: ignore[no-any-return]
    return []
