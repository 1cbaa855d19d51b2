"""Rules on the graph: names, cycles, branches, size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from windlass.model.manifest.draft import Draft, Findings, Found

#: A cycle's path is written out up to this many names.
_SHOWN = 12


def unique_names(draft: Draft) -> Findings:
    """Two steps must not have one name, also not after `-` and `.` become `_` as in variables."""
    names = [step.get("name", "") for step in draft.steps]
    if len({_as_variable(name) for name in names}) == len(names):
        return
    seen: dict[str, str] = {}
    for number, name in enumerate(names):
        variable = _as_variable(name)
        other = seen.get(variable) if name else None
        seen.setdefault(variable, name)
        if other == name:
            yield Found(("steps", number, "name"), f'duplicate step name "{name}"')
        elif other is not None:
            message = f'the step names "{other}" and "{name}" are equal once - and . become _, as they do in variables'
            yield Found(("steps", number, "name"), message)


def _as_variable(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


def acyclic(draft: Draft) -> Findings:
    """No step may wait for itself, however long the way."""
    if _in_order(draft):
        return
    cycle = find_cycle({step.get("name", ""): step.get("dependsOn", ()) for step in draft.steps})
    if cycle:
        number = next(index for index, step in enumerate(draft.steps) if step.get("name") == cycle[0])
        names = [*cycle, cycle[0]]
        if len(names) > _SHOWN:
            left_out = len(names) - _SHOWN
            names = [*names[: _SHOWN - 2], f"({left_out} more)", *names[-2:]]
        yield Found(("steps", number), f"the steps wait for each other in a cycle: {' -> '.join(names)}")


def _in_order(draft: Draft) -> bool:
    """Say whether every step stands after those that it waits for, as in most files."""
    seen = set()
    for step in draft.steps:
        for name in step.get("dependsOn", ()):
            if name not in seen:
                return False
        seen.add(step.get("name"))
    return True


def find_cycle(before: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names along one cycle, each waited for by the next and the first the earliest in the file; or nothing.

    `before` gives each name's predecessors. Runs in linear time, without recursion.
    """
    order = {name: number for number, name in enumerate(before)}
    waiting = dict.fromkeys(before, 0)
    after: dict[str, list[str]] = {name: [] for name in before}
    for name, ahead in before.items():
        for other in ahead:
            if other in after:
                after[other].append(name)
                waiting[name] += 1
    ready = [name for name, count in waiting.items() if count == 0]
    while ready:
        name = ready.pop()
        del waiting[name]
        for other in after[name]:
            waiting[other] -= 1
            if waiting[other] == 0:
                ready.append(other)
    if not waiting:
        return []
    # Everything left has a predecessor that is left: going back from any of them must come to a name a second time.
    name = min(waiting, key=order.__getitem__)
    way: dict[str, None] = {}
    while name not in way:
        way[name] = None
        name = next(other for other in before[name] if other in waiting)
    names = list(way)
    cycle = names[names.index(name) :][::-1]
    first = min(range(len(cycle)), key=lambda index: order[cycle[index]])
    return cycle[first:] + cycle[:first]


def branches_have_choices(draft: Draft) -> Findings:
    """See that a step that chooses has something to choose from."""
    branches = [
        (number, step.get("name"))
        for number, step in enumerate(draft.steps)
        if step.get("branch") or step.get("type") == "branch"
    ]
    if not branches:
        return
    waited_for = {name for step in draft.steps for name in step.get("dependsOn", ())}
    for number, name in branches:
        if name not in waited_for:
            yield Found(("steps", number), f'the branch step "{name}" has no next step to choose from', about="key")


def graph_size(draft: Draft) -> Findings:
    """Keep to the limits on steps and edges."""
    steps = len(draft.steps)
    if steps > draft.limits.steps:
        yield Found(("steps",), f"the job has {steps:,} steps, over the limit of {draft.limits.steps:,}", about="key")
    edges = sum(len(step.get("dependsOn", ())) for step in draft.steps)
    if edges > draft.limits.edges:
        yield Found(("steps",), f"the job has {edges:,} edges, over the limit of {draft.limits.edges:,}", about="key")


RULES = (unique_names, acyclic, branches_have_choices, graph_size)
