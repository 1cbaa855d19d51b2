"""Calling Python code as a step: a function with its parameters, or a Job class with `execute(context, progress)`.

Little is imported at the start: this also runs in the interpreter of a user's choice.
"""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
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
    """Return what `package.module:name` names. Raises Refused where there is no such thing."""
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
    return found


def prepare(target: Any, path: str, arguments: Mapping[str, Any], progress: Any, *, chosen: bool) -> Call:
    """Bind `arguments` to a function or a Job class; a parameter named `progress` gets the reporter.

    A parameter whose name is among the arguments gets that one. A single other one that is named `context`, or is
    annotated as a dataclass, model or mapping, gets all arguments as one object. `chosen` says that the author wrote
    the arguments for this very call, so that none may be left over. Raises Refused.
    """
    job = None
    if isinstance(target, type):
        if not callable(getattr(target, "execute", None)):
            raise Refused(f'"{path}" is a class without a method `execute`')
        job = target()
        target = job.execute
    elif callable(getattr(target, "execute", None)) and not inspect.isroutine(target):
        job = target
        target = job.execute
    if not callable(target):
        raise Refused(f'"{path}" is neither a function nor a Job class')
    hints = _hints(target)
    positional, named = _bind(target, path, hints, arguments, progress, whole=job is not None, chosen=chosen)
    return Call(
        start=lambda: target(*positional, **named),
        job=job,
        result=hints.get("return", Any) if job is not None else Any,
        asynchronous=inspect.iscoroutinefunction(target)
        or inspect.iscoroutinefunction(getattr(target, "__call__", None)),  # noqa: B004 - an object that is called
    )


def outputs_of(call: Call, value: Any) -> dict[str, Any]:
    """Return a result as outputs: an object gives its keys, nothing gives none, anything else is `result`.

    Raises Refused where the value does not fit what the Job class promises, or is no JSON.
    """
    try:
        if takes_an_object(call.result):
            value = build(call.result, plain(value), "the result")
        result = plain(value)
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


def _bind(
    target: Any,
    path: str,
    hints: Mapping[str, Any],
    arguments: Mapping[str, Any],
    progress: Any,
    *,
    whole: bool,
    chosen: bool,
) -> tuple[list[Any], dict[str, Any]]:
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return [], dict(arguments)
    open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters)
    parameters = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    context = _context_parameter(parameters, hints, arguments, whole=whole)
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for one in parameters:
        if one.name == "progress" and one.name not in arguments:
            value = progress
        elif one is context:
            value = _fit(hints.get(one.name, Any), dict(arguments), "the context")
        elif one.name in arguments:
            value = _fit(hints.get(one.name, Any), arguments[one.name], f'"{one.name}"')
        elif one.default is not one.empty:
            value = one.default
        else:
            given = ", ".join(arguments) or "none"
            raise Refused(f'"{path}" needs "{one.name}", which is not among its arguments ({given})')
        if one.kind is one.POSITIONAL_ONLY:
            positional.append(value)
        else:
            named[one.name] = value
    left = [] if context else [name for name in arguments if name not in {one.name for one in parameters}]
    if open_ended:
        named.update({name: arguments[name] for name in left})
    elif left and chosen:
        raise Refused(f'"{path}" has no parameter "{left[0]}"')
    return positional, named


def _context_parameter(
    parameters: list[inspect.Parameter], hints: Mapping[str, Any], arguments: Mapping[str, Any], *, whole: bool
) -> inspect.Parameter | None:
    others = [one for one in parameters if one.name != "progress" and one.name not in arguments]
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
