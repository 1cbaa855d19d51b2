"""Exports of OpsConductor as manifests: nodes and edges, or actions in order; what has no counterpart is listed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from windlass.model.manifest.foreign import alias_of

_TEMPLATE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.]*)\s*\}\}")
_PREVIOUS: Final = re.compile(r"\bprevious_step\.(?:result|output)\.([A-Za-z_][A-Za-z0-9_]*)\b")
#: What stands at an edge that is taken where a condition does not hold; it may be any JSON.
_OTHERWISE: Final = frozenset({"false", "failure"})
#: A comparison of one output or parameter with a number, a text or a truth.
_SIMPLE: Final = re.compile(
    r"(?:parameters\.|steps\[)[\w.\[\]\"-]+ (?:==|!=|>=|<=|>|<) (?:true|false|-?\d+(?:\.\d+)?|\"[^\"\\]*\"|'[^'\\]*')"
)
#: Nodes that only join others.
_JOINTS: Final = frozenset({"flow.start", "flow.end", "flow.parallel", "flow.join"})
_CHOICES: Final = frozenset({"logic.if", "condition.if", "flow.decision"})
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "local", ""})
_SHELLS: Final = frozenset({"bash", "sh", "shell", ""})
#: Parts of a job that say nothing about what it does.
_SAID: Final = frozenset({"name", "description", "version", "metadata", "parameters", "nodes", "edges"})
_SAID_OF_ACTIONS: Final = frozenset({"name", "description", "actions", "variables", "settings"})


@dataclass(slots=True)
class Conversion:
    """Manifests made of an export, by the names that the jobs had."""

    documents: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: One sentence for each thing that has no counterpart.
    lost: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Job:
    """One job on its way: its parameters, and what is lost of it."""

    name: str
    parameters: Mapping[str, Any]
    lost: list[str]

    def lose(self, what: str) -> None:
        self.lost.append(f"{self.name}: {what}")


def converted(content: Any) -> Conversion | None:
    """Return the manifests that an export means; None where `content` is no export."""
    if not isinstance(content, Mapping):
        return None
    jobs = content.get("jobs")
    if not isinstance(jobs, list):
        jobs = [content]
    if not jobs or not all(isinstance(job, Mapping) and isinstance(job.get("name"), str) for job in jobs):
        return None
    if not all(_are_mappings(job.get("nodes")) or _are_mappings(job.get("actions")) for job in jobs):
        return None
    found = Conversion()
    for job in jobs:
        make = _of_nodes if _are_mappings(job.get("nodes")) else _of_actions
        found.documents.append((job["name"], make(job, found.lost)))
    return found


def _head(content: Mapping[str, Any]) -> dict[str, Any]:
    alias = alias_of(content["name"])
    metadata = {"alias": alias} | ({"title": content["name"]} if content["name"] != alias else {})
    document = {"apiVersion": "v1", "kind": "Job", "metadata": metadata}
    if isinstance(content.get("description"), str):
        document["description"] = content["description"]
    return document


# Nodes and edges


def _of_nodes(content: Mapping[str, Any], lost: list[str]) -> dict[str, Any]:
    job = _Job(content["name"], _mapping(content.get("parameters")), lost)
    document = _head(content)
    if job.parameters:
        document["parameters"] = dict(job.parameters)
    for name in sorted(content.keys() - _SAID):
        job.lose(f"{name} has no counterpart")
    nodes = {str(node.get("id")): node for node in content["nodes"]}
    edges = [edge for edge in _mappings(content.get("edges")) if "source" in edge and "target" in edge]
    names = _step_names(nodes)
    chooses = any(node.get("type") in _CHOICES for node in nodes.values())
    steps = []
    for number, node in nodes.items():
        if node.get("type") in _JOINTS:
            if _data(node).get("trigger_type") not in {None, "manual"}:
                job.lose(f"it was started by a {_data(node)['trigger_type']} trigger: write one")
            continue
        before = _before(number, nodes, edges)
        previous = _previous(before, nodes, edges)
        told = None if previous is None else names[previous]
        step = {"name": names[number], **_node(number, node, told, names, edges, job)}
        step["dependsOn"] = [names[other] for other in before]
        if any(str(edge.get("target")) == number and edge.get("condition") == "failure" for edge in edges):
            step["triggerRule"] = "all_failed"
        elif chooses and len(before) > 1:
            step["triggerRule"] = "none_failed"
        steps.append(step)
    document["steps"] = steps
    return document


def _step_names(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    names: dict[str, str] = {}
    for number in nodes:
        name = alias = alias_of(number)
        count = 1
        while name in names.values():
            count += 1
            name = f"{alias[:58]}-{count}"
        names[number] = name
    return names


def _before(number: str, nodes: Mapping[str, Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the nodes that become steps and come right before one, through those that do not."""
    found: list[str] = []
    seen = {number}
    pending = [number]
    while pending:
        target = pending.pop()
        for edge in edges:
            source = str(edge.get("source"))
            if str(edge.get("target")) != target or source not in nodes or source in seen:
                continue
            seen.add(source)
            (pending if nodes[source].get("type") in _JOINTS else found).append(source)
    return found


def _previous(
    before: Sequence[str], nodes: Mapping[str, Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]
) -> str | None:
    """Return the node whose results one reads as those of the step before: a condition has none of its own."""
    seen: set[str] = set()
    while before and nodes[before[0]].get("type") in _CHOICES and before[0] not in seen:
        seen.add(before[0])
        before = _before(before[0], nodes, edges)
    return before[0] if before else None


def _node(
    number: str,
    node: Mapping[str, Any],
    previous: str | None,
    names: Mapping[str, str],
    edges: Sequence[Mapping[str, Any]],
    job: _Job,
) -> dict[str, Any]:
    """Return the step of a node, without its name and edges."""
    data, kind = _data(node), str(node.get("type"))
    step = names[number]
    if kind in _CHOICES:
        return _choice(number, node, previous, names, edges, job)
    if kind == "flow.delay":
        seconds = next((data[name] for name in ("duration", "seconds", "delay") if name in data), 0)
        return {"type": "wait", "config": {"duration": seconds}}
    found = _action(kind.rpartition(".")[2], data, step, previous, job)
    if found is None:
        found = _fails(step, f"a node of type {kind}", kind, job)
    return found | _attempts(data.get("retry_count"), data.get("retry_delay")) | _timeout(data.get("timeout"))


def _choice(
    number: str,
    node: Mapping[str, Any],
    previous: str | None,
    names: Mapping[str, str],
    edges: Sequence[Mapping[str, Any]],
    job: _Job,
) -> dict[str, Any]:
    """Return the branch that a condition is: it chooses by the answer among those behind its edges."""
    step = names[number]
    sides: dict[bool, list[str]] = {True: [], False: []}
    for edge in edges:
        if str(edge.get("source")) == number and str(edge.get("target")) in names:
            side = str(edge.get("condition")).lower() not in _OTHERWISE
            sides[side].append(names[str(edge["target"])])
    condition = _filled(str(_data(node).get("condition", "")), previous, step, job, wrap=False)
    if not _SIMPLE.fullmatch(condition):
        return _fails(step, f'the condition "{condition}"', "a condition", job)
    lines = [
        'if [ "${{ ' + condition.replace("'", '"') + ' }}" = true ]; then',
        *(f"  echo '##windlass::branch {name}'" for name in sides[True] or ["none"]),
        "else",
        *(f"  echo '##windlass::branch {name}'" for name in sides[False] or ["none"]),
        "fi",
    ]
    lines = [line for line in lines if not line.endswith("branch none'")]
    if lines[1] == "else":
        lines.insert(1, "  :")
    if lines[-2] == "else":
        lines.insert(-1, "  :")
    return {"type": "branch", "config": {"run": "\n".join(lines)}}


# Actions in order


def _of_actions(content: Mapping[str, Any], lost: list[str]) -> dict[str, Any]:
    document = _head(content)
    variables = [one for one in _mappings(content.get("variables")) if "key" in one]
    job = _Job(content["name"], {}, lost)
    if variables:
        document["parameters"] = {str(one["key"]): _variable(one) for one in variables}
        document["defaults"] = {"env": {name: f"${{{{ parameters.{name} }}}}" for name in document["parameters"]}}
    settings = _mapping(content.get("settings"))
    document |= _timeout(settings.get("timeout")) | _attempts(settings.get("retryCount"), None)
    for name in sorted(settings.keys() - {"timeout", "retryCount", "continueOnError", "parallelExecution"}):
        job.lose(f"settings.{name} has no counterpart")
    for name in sorted(content.keys() - _SAID_OF_ACTIONS):
        job.lose(f"{name} has no counterpart")
    actions = sorted(content["actions"], key=_order)
    names = _step_names({str(action.get("id") or action.get("name")): action for action in actions})
    together = bool(settings.get("parallelExecution"))
    steps: list[dict[str, Any]] = []
    for action in actions:
        step: dict[str, Any] = {"name": names[str(action.get("id") or action.get("name"))]}
        step |= _legacy(action, step["name"], job)
        step |= _dependencies(action, names, steps, together=together)
        if action.get("continueOnError") or settings.get("continueOnError"):
            step["allowFailure"] = True
        steps.append(step)
    document["steps"] = steps
    return document


def _order(action: Mapping[str, Any]) -> int:
    order = action.get("order")
    return order if type(order) is int else 0


def _variable(variable: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": variable.get("type", "string")}
    for name, key in (("description", "description"), ("value", "default")):
        if variable.get(name) is not None:
            schema[key] = variable[name]
    return schema


def _legacy(action: Mapping[str, Any], step: str, job: _Job) -> dict[str, Any]:
    data = dict(_mapping(action.get("parameters")))
    kind = str(action.get("type"))
    if "scriptContent" in data:
        data |= {"script": data["scriptContent"], "language": data.get("scriptType", "")}
    if kind == "email":
        data = {"notification_type": "email", "recipients": [data.get("to")], "message": data.get("body", "")}
        kind = "notification"
    found = _action(kind, data | {"target": "localhost"}, step, None, job)
    if found is None:
        found = _fails(step, f"an action of type {kind}", kind, job)
    for condition in _mappings(action.get("conditions")):
        if condition != {"variable": "PREVIOUS_ACTION_EXIT_CODE", "operator": "==", "value": "0"}:
            job.lose(f"step {step}: the condition on {condition.get('variable')} has no counterpart; write a `when`")
            found["when"] = "${{ false }}"
    return found | _attempts(action.get("retryCount"), action.get("retryDelay")) | _timeout(action.get("timeout"))


def _dependencies(
    action: Mapping[str, Any], names: Mapping[str, str], before: Sequence[Mapping[str, Any]], *, together: bool
) -> dict[str, Any]:
    known = [one for one in _mappings(action.get("dependencies")) if str(one.get("actionId", "")) in names]
    if not known:
        return {"dependsOn": [before[-1]["name"]] if before and not together else []}
    statuses = {str(one.get("status", "success")) for one in known}
    rule = {"failure": "all_failed", "completed": "all_done", "skipped": "all_done"}
    rules = [rule[status] for status in sorted(statuses) if status in rule]
    edges: dict[str, Any] = {"dependsOn": list(dict.fromkeys(names[str(one["actionId"])] for one in known))}
    return edges | ({"triggerRule": rules[0]} if rules else {})


# What both have


def _action(kind: str, data: Mapping[str, Any], step: str, previous: str | None, job: _Job) -> dict[str, Any] | None:
    """Return what an action does as a step; None where nothing here does that."""
    match kind:
        case "command" if "command" in data:
            return _command(str(data["command"]), data, step, previous, job)
        case "script" if "script" in data and str(data.get("language", "")).lower() in _SHELLS:
            return _command(str(data["script"]), data, step, previous, job)
        case "http" | "http_request" if "url" in data:
            config = {
                name: _filled(value, previous, step, job) if isinstance(value, str) else value
                for name, value in data.items()
                if name in {"method", "url", "headers", "body", "expected_status"}
            }
            return {"type": "http.request", "config": config}
        case "notification":
            return _notification(data, step, previous, job)
    return None


def _command(script: str, data: Mapping[str, Any], step: str, previous: str | None, job: _Job) -> dict[str, Any]:
    run = _filled(script, previous, step, job)
    target = str(data.get("target") or "")
    if target in _LOCAL or data.get("connection_type") == "local":
        return {"type": "shell", "config": {"run": run}}
    if data.get("connection_type") == "winrm":
        shell = "cmd" if data.get("shell") == "cmd" else "powershell"
        return {"type": "winrm.exec", "config": {"command": run, "shell": shell}, "targets": {"target": target}}
    return {"type": "ssh.exec", "config": {"command": run}, "targets": {"target": target}}


def _notification(data: Mapping[str, Any], step: str, previous: str | None, job: _Job) -> dict[str, Any]:
    message = _filled(str(data.get("message", "")), previous, step, job)
    if isinstance(data.get("webhook_url"), str):
        return {
            "type": "http.request",
            "config": {"method": "POST", "url": data["webhook_url"], "body": {"text": message}},
        }
    recipients = data.get("recipients")
    to = ", ".join(map(str, recipients if isinstance(recipients, list) else [recipients])) or "nobody"
    job.lose(f"step {step}: {data.get('notification_type', 'a message')} to {to} is written to the log instead")
    return {"type": "process", "config": {"command": ["echo", message]}}


def _fails(step: str, what: str, kind: str, job: _Job) -> dict[str, Any]:
    """Return the step that something without a counterpart becomes: it says so and fails, and the report lists it."""
    job.lose(f"step {step}: {what} has no counterpart; it fails until it is written anew")
    return {"type": "shell", "config": {"run": f"echo 'There is no counterpart of {_plain(kind)} here.' >&2\nexit 1"}}


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_. -]", "", text)


def _filled(text: str, previous: str | None, step: str, job: _Job, *, wrap: bool = True) -> str:
    """Return a text with its templates as expressions of ours; bare names are turned without `wrap`."""

    def name_of(name: str) -> str | None:
        if name in job.parameters:
            return f"parameters.{name}"
        found = _PREVIOUS.fullmatch(name)
        if found is None or previous is None:
            return None
        job.lose(f'step {step}: it reads {name}; let step {previous} write "##windlass::output" with {found[1]}')
        return f'steps["{previous}"].outputs.{found[1]}'

    def replaced(match: re.Match[str]) -> str:
        ours = name_of(match[1])
        if ours is None:
            job.lose(f"step {step}: {{{{ {match[1]} }}}} has no counterpart")
            return match[0]
        return f"${{{{ {ours} }}}}" if wrap else ours

    text = _TEMPLATE.sub(replaced, text)
    return text if wrap else _PREVIOUS.sub(lambda match: name_of(match[0]) or match[0], text)


def _attempts(retries: Any, delay: Any) -> dict[str, Any]:
    if type(retries) is not int or retries < 1:
        return {}
    return {"retry": {"attempts": retries + 1, **({"delay": delay} if type(delay) in {int, float} else {})}}


def _timeout(seconds: Any) -> dict[str, Any]:
    return {"timeout": seconds} if type(seconds) in {int, float} and seconds > 0 else {}


def _data(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return _mapping(node.get("data"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _are_mappings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) for one in value)
