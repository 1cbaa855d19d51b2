"""Rules on steps that run a job: a job that runs itself."""

from __future__ import annotations

from windlass.model.manifest.draft import Draft, Findings, Found


def no_endless_descent(draft: Draft) -> Findings:
    """Warn of a job that runs itself, where nothing ends that or its `concurrency` refuses it."""
    alias = draft.canonical.get("metadata", {}).get("alias")
    itself = [
        number
        for number, step in enumerate(draft.steps)
        if step.get("type") == "job" and str(step.get("config", {}).get("job", "")).partition("@")[0] == alias
    ]
    if not itself:
        return
    concurrency = draft.canonical.get("concurrency")
    alone = concurrency is not None and concurrency.get("limit") == 1 and "key" not in concurrency
    decides = any("when" in step or step.get("branch") or step.get("type") == "branch" for step in draft.steps)
    for number in itself:
        path = ("steps", number, "uses", "job")
        if alone:
            message = "the job runs itself, and its concurrency allows one run at a time: the inner run is refused"
            yield Found(path, message, "warning")
        elif not decides:
            yield Found(path, "the job runs itself, and no step has a when that ends this", "warning")


RULES = (no_endless_descent,)
