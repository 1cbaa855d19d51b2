"""Rules on what a job requires of workers: what no worker can ever say."""

from __future__ import annotations

from typing import Final

from windlass.model.did_you_mean import closest
from windlass.model.manifest.draft import Draft, Findings, Found
from windlass.model.worker_facts import APP, ARCHITECTURES, FACT, SYSTEMS, called_here

#: What workers say of their machines by themselves.
_FACTS: Final = {"os": SYSTEMS, "arch": ARCHITECTURES}


def labels_can_be_given(draft: Draft) -> Findings:
    """See that the labels are such as a worker can have: WINDLASS_LABELS holds `key=value,key=value`."""
    for name, value in _labels(draft).items():
        path = ("requires", "labels", name)
        if name.startswith(FACT):
            other = name.removeprefix(FACT)
            hint = f"; write {other}" if other in _FACTS else ""
            if name.startswith(APP):
                hint = f"; write requires.app: {name.removeprefix(APP)}"
            yield Found(
                path, f'"{name}" is no label: names that begin with {FACT} are the workers\' own{hint}', about="key"
            )
        elif not name or name != name.strip() or "," in name or "=" in name:
            message = f'"{name}" is no name of a label: no worker can have one that is empty, holds a comma or =, '
            yield Found(path, f"{message}or begins or ends with a blank", about="key")
        elif value != value.strip() or "," in value:
            message = f'"{value}" is no value of a label: no worker can have one that holds a comma, '
            yield Found(path, f"{message}or begins or ends with a blank")


def facts_can_be_true(draft: Draft) -> Findings:
    """Warn of a machine that no worker says it is by itself; a label that somebody gives a worker can say anything."""
    labels = _labels(draft)
    for name, known in _FACTS.items():
        value = labels.get(name)
        if value is None or value in known:
            continue
        meant = called_here(value)
        near = meant if meant in known else closest(value, known)
        hint = f'; did you mean "{near}"?' if near else ""
        message = f'no worker says {name} "{value}" by itself, only one with the label {name}={value}{hint}'
        yield Found(("requires", "labels", name), message, "warning")


def _labels(draft: Draft) -> dict[str, str]:
    requires = draft.canonical.get("requires")
    labels = requires.get("labels") if isinstance(requires, dict) else None
    return labels if isinstance(labels, dict) else {}


RULES = (labels_can_be_given, facts_can_be_true)
