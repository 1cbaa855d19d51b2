"""Jobs made from templates: the template filled, the document laid over it, and where each part of that was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.problem import Notes, Path
from windlass.model.manifest.schema_sentence import complaints
from windlass.model.parameter_schema import BadPattern, checked_schema, validator

_NAME: Final = re.compile(r"\$\{\{\s*parameters\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
#: Fields of a step in which expressions are evaluated when it runs: what stands there stays an expression.
_RENDERED: Final = frozenset({"run", "command", "config", "env", "when", "args", "with", "matrix", "cache"})
#: Fields of a document that are its own and never those of a template.
_OWN: Final = frozenset({"from", "apiVersion", "kind", "$schema"})


@dataclass(frozen=True, slots=True)
class Template:
    """A JobTemplate as jobs use it."""

    name: str
    parameters: Mapping[str, Mapping[str, Any]]
    spec: Mapping[str, Any]
    #: The file that it was written in; its name where it is stored.
    file: str
    #: Returns where a part of it was written, as `file:line:column`; None where only its name is known.
    place: Callable[[Path], str] | None = None

    def told(self, path: Path) -> str:
        """Return where a part of it was written, for a sentence."""
        return self.file if self.place is None else self.place(path)


@dataclass(frozen=True, slots=True)
class Filled:
    """A document laid over its template."""

    document: dict[str, Any]
    template: Template
    #: Index of each step in the template and in the document; None where one has none.
    steps: Sequence[tuple[int | None, int | None]]

    def written(self, path: Path, own: Mapping[str, Any]) -> tuple[Path, Path | None]:
        """Return where in the document a part was written, and in the template; None where it is the document's own."""
        mine, others = path, path
        if path[:1] == ("steps",) and len(path) > 1 and isinstance(path[1], int) and path[1] < len(self.steps):
            theirs, index = self.steps[path[1]]
            if theirs is None:
                return ("steps", index or 0, *path[2:]), None
            others = ("steps", theirs, *path[2:])
            mine = ("steps", index, *path[2:]) if index is not None else ("from", "template")
        if index_of(mine) != "from" and _has(own, mine):
            return mine, None
        if _has(self.template.spec, others):
            return ("from", "template"), ("spec", *others)
        return mine, None


def index_of(path: Path) -> str | int | None:
    """Return the first part of a path; None of an empty one."""
    return path[0] if path else None


def _has(value: Any, path: Path) -> bool:
    for part in path:
        if not _holds(value, part):
            return False
        value = value[part]
    return bool(path)


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, Mapping) and part in value


def is_from_template(content: Any) -> bool:
    """Say whether a document is a job that is to be made from a template."""
    return isinstance(content, dict) and content.get("from") is not None and content.get("kind") == "Job"


def fill(document: Mapping[str, Any], templates: Mapping[str, Template], notes: Notes) -> Filled | None:
    """Return a document whose `from` names a template, laid over that; None, and why in `notes`, where it cannot be.

    A parameter of the template that stands in what a step runs stays an expression, and becomes a parameter of the job
    that has this one value: so it enters commands as every value does. Elsewhere it is filled in.
    """
    said = document.get("from")
    if not isinstance(said, dict) or not isinstance(said.get("template"), str):
        notes.error(("from",), "from must be a mapping with the name of a template, such as {template: etl, with: {}}")
        return None
    for key in said.keys() - {"template", "with"}:
        notes.error(("from", key), f'unknown key "{key}" in from{suggestion(key, ("template", "with"))}', "key")
    template = templates.get(said["template"])
    if template is None:
        near = suggestion(said["template"], templates)
        hint = near or "; apply it first, or name its file too"
        notes.error(("from", "template"), f'there is no template "{said["template"]}"{hint}')
        return None
    values = _values(template, said.get("with"), notes)
    if notes.errors:
        return None
    spec = {name: _filled(part, values) for name, part in template.spec.items() if name != "steps"}
    own = {name: part for name, part in document.items() if name not in _OWN}
    steps, places = _steps(template, document, values)
    result = {**{name: document[name] for name in ("apiVersion", "kind") if name in document}, **_laid_over(spec, own)}
    if steps:
        result["steps"] = steps
    fixed = {name: _fixed(template.parameters[name], value) for name, value in values.items() if _stays(steps, name)}
    if fixed:
        result["parameters"] = {**fixed, **(result.get("parameters") or {})}
    return Filled(result, template, places)


def _values(template: Template, given: Any, notes: Notes) -> dict[str, Any]:
    """Return the value of each parameter of a template; what is wrong with those given is noted."""
    if given is not None and not isinstance(given, dict):
        notes.error(("from", "with"), "with must be a mapping of the template's parameters")
        return {}
    given = given or {}
    for name in given:
        if name not in template.parameters:
            near = suggestion(name, template.parameters) or f"; it takes {', '.join(template.parameters) or 'none'}"
            notes.error(("from", "with", name), f'template "{template.name}" has no parameter "{name}"{near}', "key")
    values = {}
    for name, schema in template.parameters.items():
        if name in given:
            values[name] = given[name]
            _check(name, given[name], schema, notes)
        elif "default" in schema:
            values[name] = schema["default"]
        else:
            notes.error(("from",), f'template "{template.name}" needs the parameter "{name}" under with')
    return values


def _check(name: str, value: Any, schema: Mapping[str, Any], notes: Notes) -> None:
    try:
        check = validator(checked_schema(schema))
    except BadPattern as bad:
        notes.error(("from", "with", name), f"{name} cannot be checked: {bad}")
        return
    for path, message, _ in complaints(check, value, schema, name, hide=schema.get("secret") is True):
        notes.error(("from", "with", name, *path), message)


def _steps(
    template: Template, document: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[list[Any], list[tuple[int | None, int | None]]]:
    """Return the template's steps with those of the document laid over them by name; new ones come behind."""
    theirs = template.spec.get("steps")
    written = document.get("steps")
    mine = list(enumerate(written)) if isinstance(written, list) else []
    named = {_name(step): (index, step) for index, step in mine if _name(step)}
    steps: list[Any] = []
    places: list[tuple[int | None, int | None]] = []
    taken: set[int] = set()
    for number, step in enumerate(theirs if isinstance(theirs, list) else ()):
        filled = _filled_step(step, values) if isinstance(step, dict) else step
        index, over = named.get(_name(filled), (None, {}))
        if index is not None:
            taken.add(index)
        steps.append(_laid_over(filled, over) if isinstance(filled, dict) else filled)
        places.append((number, index))
    for index, step in mine:
        if index not in taken:
            steps.append(step)
            places.append((None, index))
    return steps, places


def _name(step: Any) -> str:
    """Return the name of a step; nothing where it has none."""
    name = step.get("name") if isinstance(step, dict) else None
    return name if isinstance(name, str) else ""


def _filled_step(step: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part if name in _RENDERED else _filled(part, values) for name, part in step.items()}


def _filled(part: Any, values: Mapping[str, Any]) -> Any:
    """Return a part with the template's parameters in place of expressions that name them and nothing else."""
    if isinstance(part, str):
        whole = _NAME.fullmatch(part.strip())
        if whole is not None and whole[1] in values:
            return values[whole[1]]
        return _NAME.sub(lambda name: _text(values[name[1]]) if name[1] in values else name[0], part)
    if isinstance(part, dict):
        return {key: _filled(value, values) for key, value in part.items()}
    if isinstance(part, list):
        return [_filled(value, values) for value in part]
    return part


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two mappings as one: of the same key mappings are joined, of anything else the upper one counts."""
    result = dict(below)
    for key, value in above.items():
        under = result.get(key)
        result[key] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return result


def _stays(steps: Sequence[Any], name: str) -> bool:
    """Say whether a step still names a parameter of the template."""
    pattern = re.compile(rf"\bparameters\s*(?:\.\s*{re.escape(name)}\b|\[\s*[\"']{re.escape(name)}[\"']\s*\])")
    pending: list[Any] = list(steps)
    while pending:
        value = pending.pop()
        if isinstance(value, str) and pattern.search(value):
            return True
        pending.extend(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
    return False


def _fixed(schema: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Return the parameter of a job that has one value alone."""
    kept = {name: part for name, part in schema.items() if name not in {"required", "default", "enum"}}
    return {**kept, "default": value, **({} if schema.get("secret") is True else {"enum": [value]})}
