"""`windlass archive adopt`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.text import counted

_COUNTS = ("runs", "known", "homeless", "damaged", "dropped", "files")
_DROP = "`windlass archive adopt --drop` removes them"
_EXAMPLES = """
windlass archive adopt --dry-run
windlass archive adopt
windlass archive adopt --drop
"""


@make(name="adopt", examples=_EXAMPLES)
@click.option("--drop", is_flag=True, help="Remove what the catalogue does not know instead of entering it there.")
@click.option("--dry-run", is_flag=True, help="Say what the archives hold, and change nothing.")
def command(session: Session, *, drop: bool, dry_run: bool) -> int:
    """Make the archives that were used this store's, with the runs in them that it does not know.

    A store that was restored from a backup lets no run leave, and removes nothing from an archive, before that: what is
    there may be of the store that the backup was made of. Make sure that no other one uses the archive any more.

    Exit status 1: an archive could not be looked at.
    """
    total: dict[str, Any] = {**dict.fromkeys(_COUNTS, 0), "forgotten": [], "trouble": []}
    body: dict[str, Any] = {"dryRun": dry_run, "drop": drop}
    after: str | None = None
    with session.connect() as client:
        while True:
            found = client.post("archive", "adopt", body=body if after is None else body | {"after": after})
            total = {name: total[name] + found[name] for name in total}
            after = found["after"]
            if after is None:
                break
            session.out.note(f"{counted(total['runs'] + total['dropped'], 'thing')} so far")
    session.out.value(total, lambda: _told(total, drop=drop, dry_run=dry_run))
    return 1 if total["trouble"] else 0


def _told(total: Mapping[str, Any], *, drop: bool, dry_run: bool) -> Iterator[str]:
    would = "would be" if dry_run else "were"
    if drop:
        yield f"{counted(total['dropped'], 'document')} and {counted(total['files'], 'file')} {would} removed."
    else:
        yield f"{counted(total['runs'], 'run')} {would} entered in the catalogue."
        left = {
            "known": "of runs that the store has, or of which it knows another copy",
            "homeless": "of runs whose job the store does not have",
            "damaged": "that cannot be read",
        }
        for name, what in left.items():
            if total[name]:
                yield f"{counted(total[name], 'document')} {what} stay: {_DROP}."
        if total["files"] and not dry_run:
            yield f"{counted(total['files'], 'file')} that no run has stay: {_DROP}."
    for url in total["forgotten"]:
        yield f"The former archive {url} is gone and {'would be' if dry_run else 'was'} forgotten."
    yield from total["trouble"]
    if not dry_run and not total["trouble"]:
        yield "The archives are this store's."
