"""What an apply does to the jobs of a project: a decision, not an effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

#: A job with this label set to "true" is never pruned.
PROTECTED_LABEL = "windlass/protected"

Verdict = Literal["created", "changed", "unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a job comes from. `source` names it for good; the rest says which state of it."""

    source: str
    repo: str | None = None
    ref: str | None = None
    commit: str | None = None
    path: str | None = None

    def to_json(self) -> dict[str, str]:
        """Return the fields that are set."""
        fields = {"source": self.source, "repo": self.repo, "ref": self.ref, "commit": self.commit, "path": self.path}
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job as a document has it."""

    alias: str
    digest: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A job as the store has it."""

    alias: str
    digest: str
    #: Name of the source it comes from; None where it was applied by hand.
    source: str | None
    protected: bool


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """What is to be done; aliases in the order of the documents, pruned ones by name."""

    verdicts: Mapping[str, Verdict]
    #: Jobs of another source, each with the sentence that refuses it.
    conflicts: Mapping[str, str]
    prune: tuple[str, ...]
    warnings: tuple[str, ...]

    def __add__(self, other: ApplyPlan) -> ApplyPlan:
        """Return both plans as one; they must not be about the same names."""
        return ApplyPlan(
            {**self.verdicts, **other.verdicts},
            {**self.conflicts, **other.conflicts},
            (*self.prune, *other.prune),
            (*self.warnings, *other.warnings),
        )


def plan_apply(
    wanted: Sequence[Wanted],
    standing: Mapping[str, Standing],
    *,
    source: str | None,
    force: bool,
    prune: bool,
    noun: str = "job",
) -> ApplyPlan:
    """Decide what applying `wanted` from `source` (None: by hand) does to the live jobs `standing` of the project.

    `force` takes over the jobs of other sources. `prune` deletes the jobs of the same source that are not wanted;
    `standing` must hold all of them then. `noun` is what sentences call what is applied.
    """
    verdicts: dict[str, Verdict] = {}
    conflicts: dict[str, str] = {}
    warnings: list[str] = []
    for job in wanted:
        found = standing.get(job.alias)
        if found is None:
            verdicts[job.alias] = "created"
            continue
        unchanged = found.digest == job.digest
        refusal = None if force or (unchanged and source is None) else _refusal(found, source, noun)
        if refusal is not None:
            conflicts[job.alias] = refusal
            continue
        verdicts[job.alias] = "unchanged" if unchanged else "changed"
        if source is not None and found.source is None:
            warnings.append(f'{noun} "{job.alias}" was applied by hand; it belongs to source "{source}" now')
    names = {job.alias for job in wanted}
    gone = sorted(alias for alias, job in standing.items() if prune and job.source == source and alias not in names)
    protected = [alias for alias in gone if standing[alias].protected]
    kept = f"is protected by its label {PROTECTED_LABEL} and was not pruned"
    warnings += [f'{noun} "{alias}" {kept}' for alias in protected]
    pruned = tuple(alias for alias in gone if not standing[alias].protected)
    return ApplyPlan(verdicts, conflicts, pruned, tuple(warnings))


def _refusal(found: Standing, source: str | None, noun: str) -> str | None:
    """Say why a job that stands must not be touched from `source`."""
    if found.source is None or found.source == source:
        return None
    other = "by hand" if source is None else f'from source "{source}"'
    return (
        f'{noun} "{found.alias}" belongs to source "{found.source}" and was not applied {other}: change it there, '
        "or take it over with --force"
    )
