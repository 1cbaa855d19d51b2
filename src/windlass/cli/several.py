"""Commands that take several things: all of them are found before anything is done to the first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from windlass.errors import NotFound, UserError

if TYPE_CHECKING:
    from windlass.cli.session import Session
    from windlass.client.client import Client


def found(client: Client, group: str, references: Iterable[str], **query: Any) -> list[dict[str, Any]]:
    """Return what the resources `group` have under each reference, in order; what two references name, once.

    Raises what the first reference that is wrong is refused with; nothing was changed then.
    """
    things: dict[str, dict[str, Any]] = {}
    for reference in references:
        thing = client.get(group, reference, **query)
        things.setdefault(thing.get("id") or thing["name"], thing)
    return list(things.values())


def found_jobs(session: Session, client: Client, references: Iterable[str]) -> list[dict[str, Any]]:
    """Return jobs as `found` does; refused are revisions of jobs, and jobs that were deleted."""
    names = list(references)
    for name in names:
        if "@" in name:
            raise UserError(f'"{name}" names a revision, and this is done to whole jobs: leave out what follows the @.')
    jobs = found(client, "jobs", names, project=session.project)
    for job in jobs:
        if job["deletedAt"]:
            raise NotFound(f'Job "{job["alias"]}" was deleted already.')
    return jobs
