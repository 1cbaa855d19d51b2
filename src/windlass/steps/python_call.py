"""Calling Python code as a step: a function with its parameters, or a Job class with `execute(context, progress)`.

Little is imported at the start: this also runs in the interpreter of a user's choice.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.steps.python_values import BadValue, build, plain, takes_an_object


class Refused(Exception):
    """The call cannot be made as it is asked for; the text is one sentence for its author."""


@dataclass(frozen=True)
class FailedAttempt:
    """What `should_retry` and `retry_delay` of a Job class are told."""

    #: Number of the attempt that failed, from 1.
    number: int
    error: BaseException


@dataclass(frozen=True)
class Call:
    """A call with its arguments in place."""

    #: Runs it; gives its value, or an awaitable where the code is asynchronous.
    start: Callable[[], Any]
    #: The object of a Job class; None for a function.
    job: Any
    #: What the value must fit, where the code says so; `Any` where not.
    result: Any
    asynchronous: bool


def find(path: str) -> Any:
    """Return what `package.module:name` names; of a function that was made a job, the function itself.

    Raises Refused where there is no such thing.
    """
    module_name, _, name = path.partition(":")
    try:
        found = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise Refused(f'there is no module "{error.name}" for "{path}"; install it, or set PYTHONPATH') from None
        raise
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Refused(f'there is no "{name}" in the module "{module_name}"') from None
    return getattr(found, "windlass_function", found)


def prepare(target: Any, path: str, arguments: Mapping[str, Any], progress: Any, *, chosen: bool) -> Call:
    """Bind `arguments` to a function or a Job class; see `plan_call`. Raises Refused."""
    return plan_call(target, path, tuple(arguments), chosen=chosen).bind(arguments, progress)


@dataclass(frozen=True)
class _Place:
    """One parameter of the code, and what it gets."""

    name: str
    #: `progress` the reporter, `all` every argument as one object, `one` the argument of its name, `default` its own.
    gets: str
    #: What the value must fit; for `default` the value itself.
    kind: Any
    positional: bool


@dataclass(frozen=True)
class Plan:
    """How code is called with arguments of certain names; good for any number of calls."""

    #: A function, a Job object, or the Job class of which a new object serves each call.
    target: Any
    is_class: bool
    #: True where `execute` of the object is what is called.
    is_job: bool
    places: tuple[_Place, ...]
    #: Names of further arguments, for code that takes any.
    more: tuple[str, ...]
    result: Any
    asynchronous: bool

    @property
    def reports(self) -> bool:
        """Whether the code takes the reporter."""
        return any(place.gets == "progress" for place in self.places)

    def bind(self, arguments: Mapping[str, Any], progress: Any) -> Call:
        """Return the call with its values in place. Raises Refused where one does not fit."""
        job = self.target() if self.is_class else self.target
        positional: list[Any] = []
        named = {name: arguments[name] for name in self.more}
        for place in self.places:
            if place.gets == "progress":
                value = progress
            elif place.gets == "default":
                value = place.kind
            elif place.gets == "all":
                value = _fit(place.kind, dict(arguments), "the context")
            else:
                value = _fit(place.kind, arguments[place.name], f'"{place.name}"')
            if place.positional:
                positional.append(value)
            else:
                named[place.name] = value
        return Call(
            start=functools.partial(job.execute if self.is_job else job, *positional, **named),
            job=job if self.is_job else None,
            result=self.result,
            asynchronous=self.asynchronous,
        )


def plan_call(target: Any, path: str, names: Sequence[str], *, chosen: bool) -> Plan:
    """Say how a function or a Job class is called with arguments of these names.

    A parameter named `progress` gets the reporter, one whose name is among the arguments gets that one. A single other
    one that is named `context`, or is annotated as a dataclass, model or mapping, gets all arguments as one object.
    `chosen` says that the author wrote the arguments for this very call, so that none may be left over. Raises Refused.
    """
    is_class = isinstance(target, type)
    is_job = callable(getattr(target, "execute", None)) and not inspect.isroutine(target)
    if is_class and not is_job:
        raise Refused(f'"{path}" is a class without a method `execute`')
    code = target.execute if is_job else target
    if not callable(code):
        raise Refused(f'"{path}" is neither a function nor a Job class')
    hints = _hints(code)
    has_self = is_class and inspect.isfunction(inspect.getattr_static(target, "execute"))
    places, more = _places(code, path, hints, names, has_self=has_self, whole=is_job, chosen=chosen)
    return Plan(
        target=target,
        is_class=is_class,
        is_job=is_job,
        places=tuple(places),
        more=tuple(more),
        result=hints.get("return", Any),
        asynchronous=inspect.iscoroutinefunction(code) or inspect.iscoroutinefunction(getattr(code, "__call__", None)),  # noqa: B004 - an object that is called
    )


def outputs_of(call: Call, value: Any) -> dict[str, Any]:
    """Return a result as outputs: an object gives its keys, nothing gives none, anything else is `result`.

    Raises Refused where the value does not fit what the code's annotation promises, or is no JSON.
    """
    try:
        result = plain(value)
        if call.result is not Any:
            made = build(call.result, result, "the result")
            result = plain(made) if takes_an_object(call.result) else result
    except BadValue as error:
        raise Refused(str(error)) from None
    if result is None:
        return {}
    return result if isinstance(result, dict) else {"result": result}


def after_failure(call: Call | None, number: int, error: BaseException) -> tuple[bool, float | None]:
    """Ask the Job whether another attempt is of use, and after how many seconds (None: as the policy says)."""
    job: Any = call.job if call else None
    attempt = FailedAttempt(number, error)
    may_retry, delay = True, None
    if callable(getattr(job, "should_retry", None)):
        may_retry = job.should_retry(attempt) is not False
    if may_retry and callable(getattr(job, "retry_delay", None)):
        delay = job.retry_delay(attempt)
    return may_retry, None if delay is None else max(0.0, float(delay))


def error_text(error: BaseException) -> str:
    """Return class and text of an error, bounded."""
    if isinstance(error, Refused):
        return str(error)[:2000]
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - its own text may be broken
        text = "its text cannot be read"
    name = type(error).__qualname__
    return (f"{name}: {text}" if text else name)[:2000]


def _hints(target: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target, include_extras=False)
    except Exception:  # noqa: BLE001 - names known to type checkers only; then nothing is converted
        return {}


def _places(
    code: Any,
    path: str,
    hints: Mapping[str, Any],
    names: Sequence[str],
    *,
    has_self: bool,
    whole: bool,
    chosen: bool,
) -> tuple[list[_Place], list[str]]:
    """Return what each parameter of the code gets, and the names of further arguments that it takes."""
    try:
        parameters = list(inspect.signature(code).parameters.values())[1 if has_self else 0 :]
    except (TypeError, ValueError):
        return [], list(names)
    open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters)
    parameters = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    context = _context_parameter(parameters, hints, names, whole=whole)
    places = []
    for one in parameters:
        if one.name == "progress" and one.name not in names:
            gets = "progress"
        elif one is context:
            gets = "all"
        elif one.name in names:
            gets = "one"
        elif one.default is not one.empty:
            if one.kind is one.POSITIONAL_ONLY:  # another one may stand behind it
                places.append(_Place(one.name, "default", one.default, positional=True))
            continue
        else:
            given = ", ".join(names) or "none"
            raise Refused(f'"{path}" needs "{one.name}", which is not among its arguments ({given})')
        places.append(_Place(one.name, gets, hints.get(one.name, Any), positional=one.kind is one.POSITIONAL_ONLY))
    left = [] if context else [name for name in names if name not in {one.name for one in parameters}]
    if left and chosen and not open_ended:
        raise Refused(f'"{path}" has no parameter "{left[0]}"')
    return places, left if open_ended else []


def _context_parameter(
    parameters: list[inspect.Parameter], hints: Mapping[str, Any], names: Sequence[str], *, whole: bool
) -> inspect.Parameter | None:
    others = [one for one in parameters if one.name != "progress" and one.name not in names]
    needed = [one for one in others if one.default is one.empty] or others[:1]
    if len(needed) != 1:
        return None
    (one,) = needed
    if whole or one.name == "context" or (one.default is one.empty and takes_an_object(hints.get(one.name))):
        return one
    return None


def _fit(kind: Any, value: Any, where: str) -> Any:
    try:
        return build(kind, value, where)
    except BadValue as error:
        raise Refused(str(error)) from None
