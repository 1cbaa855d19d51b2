"""`windlass job apply`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.manifest_files import Found, find_manifests
from windlass.cli.options import FILE
from windlass.cli.session import Session

_EXAMPLES = """
windlass job apply orders.yaml
windlass job apply jobs/ --prune --source nightly -m "new week"
windlass job apply 'jobs/**/*.yaml' --dry-run
"""


@make(name="apply", examples=_EXAMPLES)
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--force", is_flag=True, help="Take over jobs that come from another source.")
@click.option("--prune", is_flag=True, help="Delete the jobs of --source that are not in the files; needs it.")
@click.option("--per-document", is_flag=True, help="Hold bad documents back and apply the others.")
@click.option("-m", "--message", help="Why, for the history.")
@click.option("--source", help="Name of where the files come from, such as a repository; jobs stay with their source.")
@click.option("--repo", help="Address of the repository; needs --source.")
@click.option("--ref", help="Branch or tag; needs --source.")
@click.option("--commit", help="Commit; needs --source.")
def command(session: Session, *, files: tuple[str, ...], **options: Any) -> int:
    """Store the documents of files, jobs, policies and templates, in one transaction.

    FILE is a file, a folder (everything below with apiVersion and kind), a glob, or - for standard input. Nothing
    changes where a document is bad, unless --per-document is given. The same content again makes no new revision.
    """
    found = find_manifests(files)
    note_left_out(session, found)
    body = {
        "files": [{"name": file.name, "text": file.text()} for file in found.files],
        "dryRun": options["dry_run"],
        "force": options["force"],
        "prune": options["prune"],
        "perDocument": options["per_document"],
        **_provenance(options),
    }
    if options["message"]:
        body["message"] = options["message"]
    with session.connect() as client:
        answer = client.post("jobdefs", "apply", body=body, project=session.project)
    for warning in answer["warnings"]:
        session.out.error(warning)
    for held in answer.get("held", ()):
        session.out.error(held)
    session.out.value(answer, lambda: told(answer, dry_run=options["dry_run"]))
    return 1 if answer.get("held") else 0


def note_left_out(session: Session, found: Found) -> None:
    """Name the files of folders that are no manifests; those that seem to be meant as one are worth a warning."""
    for one in found.left_out:
        if one.doubtful:
            session.out.warn(f"left out: {one}.")
        else:
            session.out.note(f"left out: {one}.")


def _provenance(options: dict[str, Any]) -> dict[str, Any]:
    given = {name: options[name] for name in ("source", "repo", "ref", "commit") if options[name]}
    if given and "source" not in given:
        raise click.UsageError(f"--{next(iter(given))} needs --source")
    if options["prune"] and not given:
        raise click.UsageError("--prune needs --source: it deletes the jobs that came from there and are gone now")
    return {"provenance": given} if given else {}


def told(answer: dict[str, Any], *, dry_run: bool) -> Iterator[str]:
    """Yield what an apply did, one job a line, and how much."""
    verdicts = [verdict for verdict in ("created", "changed", "unchanged", "pruned") if answer[verdict]]
    for verdict in verdicts:
        for alias in answer[verdict]:
            yield f"{verdict:<9}  {alias}"
    if "newProject" in answer:
        yield f"Project {answer['newProject']} {'would be' if dry_run else 'is'} new."
    counts = ", ".join(f"{len(answer[verdict])} {verdict}" for verdict in verdicts)
    yield f"{'Would be' if dry_run else 'Applied'}: {counts or 'nothing'}."
