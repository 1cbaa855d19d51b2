"""A step's config, `env` and `when`: compiled once, rendered on the values of each attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from windlass.errors import ExpressionError
from windlass.model.expressions.expression import Expression
from windlass.model.injection.compiler import Compiler, Problem
from windlass.model.injection.nodes import Frame, Node
from windlass.model.template import MAX_ENVIRONMENT, Hole, split

if TYPE_CHECKING:
    from windlass.model.definition import Step
    from windlass.model.expressions.analysis import Use
    from windlass.model.finding import Within
    from windlass.model.steptype import StepSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A step as one attempt gets it."""

    #: False where `when` is: then all the rest is empty and the step is skipped.
    when: bool
    config: Mapping[str, Any] = field(default_factory=dict)
    #: The step's own `env`, all texts.
    env: Mapping[str, str] = field(default_factory=dict)
    #: Variables that carry values into scripts; they belong into the environment of the shell that reads those.
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What a step's expressions name."""

    #: Names of parameters; `*` where an expression uses all of them.
    parameters: frozenset[str] = frozenset()
    steps: frozenset[str] = frozenset()
    #: Pairs of step and output key.
    outputs: frozenset[tuple[str, str]] = frozenset()
    #: `secret://` references that stand in the step as a whole text.
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A path that an expression names, and where in the step that is."""

    path: tuple[str | int, ...]
    use: Use
    expression: Expression
    #: Where in the text at `path`, where that is known.
    within: Within | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledStep:
    """A step ready to be rendered, any number of times. Made by `compile_step`."""

    problems: tuple[Problem, ...]
    names: tuple[Named, ...]
    references: References
    #: True where `render` gives the same on all values.
    is_constant: bool
    _when: Expression | None
    _config: Node
    _env: Node
    _uses_env: bool
    #: The expression that each variable of a script carries, as one writes it.
    _carriers: Mapping[str, str]

    def decide(self, context: Mapping[str, Any]) -> bool:
        """Return what `when` says on `context`; true without one.

        Raises ExpressionError where it cannot be evaluated or gives no boolean.
        """
        self._refuse_problems()
        if self._when is None:
            return True
        answer = self._when.evaluate(context)
        if not isinstance(answer, bool):
            raise Hole(self._when, 1).fail("`when` must give true or false")
        return answer

    def render(self, context: Mapping[str, Any], secrets: Mapping[str, str] | None = None) -> Rendered:
        """Return the step as an attempt on `context` gets it.

        `secrets` holds the value of each of `references.secrets`. Raises ExpressionError with one sentence that names
        the expression. What an expression gives is never read for expressions or secret references again.
        """
        if not self.decide(context):
            return Rendered(when=False)
        frame = Frame(context, secrets or {}, {})
        env = self._env.render(frame)
        if self._uses_env:
            frame = Frame({**context, "env": env}, frame.secrets, frame.variables)
        config = self._config.render(frame)
        _check_size({**env, **frame.variables}, self._carriers)
        return Rendered(when=True, config=config, env=env, variables=frame.variables)

    def _refuse_problems(self) -> None:
        """Raise ExpressionError with the first error that lint has found too."""
        for problem in self.problems:
            if problem.level == "error":
                raise ExpressionError(f"{'.'.join(map(str, problem.path))}: {problem.message}")


def _check_size(values: Mapping[str, str], names: Mapping[str, str]) -> None:
    """Raise ExpressionError where the variables of a step are too much for a process; `names` are those for people."""
    sizes = {name: len(name) + len(value.encode(errors="replace")) + 2 for name, value in values.items()}
    total = sum(sizes.values())
    if total > MAX_ENVIRONMENT:
        most = max(sizes, key=lambda name: sizes[name])
        raise ExpressionError(
            f"the variables of the step have {total:,} bytes, {MAX_ENVIRONMENT:,} are allowed; "
            f"the largest is {names.get(most, most)} with {sizes[most]:,}"
        )


def compile_step(step: Step, spec: StepSpec) -> CompiledStep:
    """Return `step` compiled by the places of `spec`; never raises, what is wrong stands in `problems`."""
    compiler = Compiler(spec.places, step.config)
    text = step.when
    when = compiler.guard(("when",), lambda: parse_when(text)) if text is not None else None
    if when is not None:
        compiler.note(("when",), when)
    env = compiler.env(step.env, ("env",))
    config = compiler.config()
    names = tuple(
        Named(path, use, expression, within)
        for path, expression, within in compiler.expressions
        for use in expression.uses
    )
    return CompiledStep(
        problems=tuple(compiler.problems),
        names=names,
        references=references_of(names, compiler.secrets),
        is_constant=not compiler.expressions and not compiler.secrets,
        _when=when,
        _config=config,
        _env=env,
        _carriers=compiler.carriers,
        _uses_env=any(named.use.path.root == "env" for named in names),
    )


def parse_when(text: str) -> Expression:
    """Return the expression of a `when`, written with or without `${{ }}`; raises ExpressionError."""
    if "${{" not in text:
        return Expression.parse(text)
    match split(text.strip()):
        case (Hole(expression=expression),):
            return expression
    raise ExpressionError("`when` is one expression: ${{ ... }} and nothing beside it")


def references_of(names: tuple[Named, ...], secrets: list[str]) -> References:
    """Return what `names` name, by kind."""
    parameters: set[str] = set()
    steps: set[str] = set()
    outputs: set[tuple[str, str]] = set()
    for named in names:
        match named.use.path.keys:
            case ("parameters",):
                parameters.add("*")
            case ("parameters", name, *_):
                parameters.add(name)
            case ("steps", step, "outputs", key, *_):
                steps.add(step)
                outputs.add((step, key))
            case ("steps", step, *_):
                steps.add(step)
    return References(
        parameters=frozenset(parameters),
        steps=frozenset(steps),
        outputs=frozenset(outputs),
        secrets=tuple(dict.fromkeys(secrets)),
    )
