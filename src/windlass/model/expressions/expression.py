"""One expression: parsed once, evaluated on the values of a run as often as needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from windlass.errors import ExpressionError
from windlass.model.expressions.analysis import Analysis, Use, analyse, presence, variable, with_paths
from windlass.model.expressions.bounds import check_length, check_shape, check_work
from windlass.model.expressions.engine import Program, compile_cel, for_cel, run_program
from windlass.model.expressions.paths import MissingValue
from windlass.model.expressions.tokens import tokens

#: Characters of an expression that a message shows.
_SHOWN: Final = 80


@dataclass(frozen=True, slots=True)
class Expression:
    """CEL over the roots `parameters, steps, run, job, matrix, target, env, project`.

    Made by `Expression.parse`. Two expressions with the same text are equal.
    """

    #: What stands between `${{` and `}}`, without the space around it.
    text: str
    #: True for `raw(...)`: its value is pasted as text where others are carried safely.
    is_raw: bool = field(compare=False)
    _analysis: Analysis = field(compare=False, repr=False)
    #: None where the expression is one path: no library is needed for that.
    _program: Program | None = field(compare=False, repr=False)

    @staticmethod
    def parse(text: str) -> Expression:
        """Return the expression of `text`; raises ExpressionError with one sentence that shows it."""
        return _parse(text.strip())

    @property
    def uses(self) -> tuple[Use, ...]:
        """Return the paths that it names, with whether each may be missing."""
        return self._analysis.uses

    @property
    def is_path(self) -> bool:
        """True where it is one path and nothing else."""
        return self._analysis.is_path

    def __str__(self) -> str:
        """Return the expression as one writes it in a manifest, shortened where it is long."""
        text = " ".join(self.text.split())
        return f"${{{{ {text if len(text) <= _SHOWN else text[:_SHOWN] + '...'} }}}}"

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        """Return the JSON value of the expression on `context`, whose keys are the roots.

        Raises ExpressionError with one sentence that shows the expression: a key is missing and not under `default` or
        `has`, types do not fit, a number needs more than 64 bits, the result is no JSON value, or the work is over a
        limit.
        """
        try:
            if self._program is None:
                return self._analysis.paths[0].find(context)
            return self._run(self._program, context)
        except ExpressionError as error:
            raise ExpressionError(f"{self}: {error}") from None

    def _run(self, program: Program, context: Mapping[str, Any]) -> Any:
        """Evaluate by the library."""
        variables: dict[str, Any] = {}
        missing: list[tuple[str, MissingValue]] = []
        for index, path in enumerate(self._analysis.paths):
            try:
                value = path.find(context)
            except MissingValue as error:
                missing.append((variable(index), error))
                variables[presence(index)] = False
            else:
                variables[variable(index)] = for_cel(value)
                variables[presence(index)] = True
        check_work(self._analysis, variables.values())
        try:
            return run_program(program, variables)
        except KeyError as error:
            raise ExpressionError(f"there is no key {error.args[0] if error.args else ''}") from None
        except ExpressionError as error:
            # The library stops at the first undefined variable that it needs; those are the paths that lead nowhere.
            for name, reason in missing:
                if str(error).startswith(f"{name} "):
                    raise reason from None
            raise ExpressionError(with_paths(str(error), self._analysis)) from None


@lru_cache(maxsize=4096)
def _parse(text: str) -> Expression:
    """Return the expression of `text`; the same few texts are read again and again."""
    try:
        check_length(text)
        inner = _inside_raw(text)
        analysis = analyse(text if inner is None else inner)
        check_shape(analysis)
        program = None if analysis.is_path else _compile(analysis)
    except ExpressionError as error:
        shown = " ".join(text.split())
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        raise ExpressionError(f"${{{{ {shown} }}}}: {error}") from None
    return Expression(text, inner is not None, analysis, program)


def _compile(analysis: Analysis) -> Program:
    """Return the program; raises ExpressionError in the words of the expression as it was written."""
    try:
        return compile_cel(analysis.cel)
    except ExpressionError as error:
        raise ExpressionError(with_paths(str(error), analysis)) from None


def _inside_raw(text: str) -> str | None:
    """Return what stands between the brackets of `raw(...)` where that is the whole text, else None."""
    found = tokens(text)
    if [token.text for token in found[:2]] != ["raw", "("]:
        return None
    depth = 0
    for token in found[1:]:
        if token.kind == "mark" and token.text in "([{":
            depth += 1
        elif token.kind == "mark" and token.text in ")]}":
            depth -= 1
        if depth == 0:
            return text[found[1].end : token.start] if token is found[-1] else None
    return None
