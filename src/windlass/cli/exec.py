"""`windlass exec`."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from windlass.cli.command import make
from windlass.cli.interrupts import PATIENCE, Interrupts
from windlass.cli.manifest_files import find_manifests, shown_path
from windlass.cli.options import FILE
from windlass.cli.parameters import parameter_options, parameters_of
from windlass.cli.session import Session
from windlass.errors import OutputLost, Unavailable, UserError, WindlassError
from windlass.model.pairs import pairs

if TYPE_CHECKING:
    from windlass.cli.watch.follow import View
    from windlass.client.client import Client

#: What may be the name of a stored job rather than of a file.
_ALIAS: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
#: How often the store may go to another owner while a run is followed.
_MOVES = 5

_EXAMPLES = """
windlass exec orders.yaml -p region=us
windlass exec orders.yaml --json > run.json
generate-job | windlass exec -
"""


@make(name="exec", examples=_EXAMPLES)
@click.argument("file", type=FILE)
@parameter_options
@click.option("--priority", help="critical, high, normal, low, or a number from 1 to 15.")
@click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="A label of the run.")
@click.option("--note", help="A note on the run.")
@click.option("--no-cache", is_flag=True, help="Take no earlier results of steps with cache; the new ones are kept.")
@click.option("--logs", is_flag=True, help="On a terminal too, print the output of the steps, above the picture.")
def command(
    session: Session,
    *,
    file: str,
    param: tuple[str, ...],
    params: tuple[str, ...],
    priority: str | None,
    label: tuple[str, ...],
    note: str | None,
    no_cache: bool,
    logs: bool,
) -> int:
    """Run a manifest here and now, with live progress. FILE is a file with one job, or - for standard input.

    Needs no server: the steps start in the folder of FILE, as processes of this command. Where a server owns the store,
    it runs them. Exit status 1: the run did not complete. Ctrl-C asks the run to stop, a second one stops its clean-up;
    so do SIGTERM and SIGHUP.
    """
    if os.path.isdir(file):  # noqa: PTH112 - pathlib raises where a name is too long
        raise UserError(f"{shown_path(file)} is a folder; exec runs one file.")
    if _ALIAS.fullmatch(file) and not os.path.lexists(file):
        raise UserError(f"{file}: No such file or directory; a stored job is started by `windlass run start {file}`.")
    found = find_manifests([file]).files[0]
    folder = Path.cwd() if file == "-" else Path(file).absolute().parent
    body: dict[str, Any] = {
        "file": {"name": found.name, "text": found.text()},
        "folder": str(folder),
        **parameters_of(param, params),
    }
    labels = pairs(label, "label") or None
    given = {"priority": priority, "labels": labels, "note": note, "noCache": no_cache or None}
    body |= {name: value for name, value in given.items() if value is not None}
    return _Execution(session, body, logs=logs).run()


class _Execution:
    """A run that is started once, and followed wherever it goes on."""

    def __init__(self, session: Session, body: dict[str, Any], *, logs: bool) -> None:
        self._session = session
        self._logs = logs
        self._body = body
        self._client: Client | None = None
        self._run_id: str | None = None
        self._view: View | None = None
        self._asked = False

    def run(self) -> int:
        """Start the run and follow it to its end.

        Where another process owned the store, and went away meanwhile, this one goes on in its place.
        """
        moves = 0
        with Interrupts(self._interrupted) as interrupts:
            while True:
                try:
                    with self._session.program.connect(self._session.settings, works=True) as client:
                        return self._follow(client, interrupts)
                except Unavailable:
                    moves += 1
                    if self._run_id is None or moves > _MOVES:
                        raise

    def _follow(self, client: Client, interrupts: Interrupts) -> int:
        from windlass.cli.watch.follow import follow_run, follow_silently, view_of  # noqa: PLC0415 - costs time

        self._client = client
        interrupts.hold()
        try:
            if self._run_id is None or self._view is None:
                run = client.post("runs", body=self._body, project=self._session.project)
                self._run_id = str(run["id"])
                self._view = view_of(self._session, self._run_id, logs=True, live_logs=self._logs)
                for warning in run["warnings"]:
                    self._session.out.error(warning)
            interrupts.known()
            try:
                return follow_run(self._session, client, self._run_id, view=self._view)
            except OutputLost:
                if not self._asked:
                    self._stop("nobody reads the output any more, stopping the run")
                follow_silently(self._session, client, self._run_id)
                raise
        finally:
            interrupts.release()

    def _interrupted(self, count: int) -> None:
        if count == 1:
            self._stop("interrupted, stopping the run; Ctrl-C again to hurry")
        elif count <= PATIENCE:
            self._stop("interrupted, stopping its clean-up too; Ctrl-C again to leave")

    def _stop(self, told: str) -> None:
        """Ask the run to stop and say why."""
        self._asked = True
        self._session.out.error(f"windlass: {told}")
        if self._client is not None and self._run_id is not None:
            with suppress(WindlassError):  # it has ended meanwhile, or its owner has, which following tells
                self._client.post("runs", self._run_id, "cancel")
