"""`windlass exec`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from windlass.cli.command import make
from windlass.cli.manifest_files import find_manifests
from windlass.cli.options import pairs
from windlass.cli.session import Session
from windlass.errors import Conflict, Unavailable, UserError

if TYPE_CHECKING:
    from windlass.cli.watch.follow import View
    from windlass.client.client import Client

#: How often the store may go to another owner while a run is followed.
_MOVES = 5
#: Interrupts after which the command ends, whatever still runs.
_PATIENCE = 2


@make(name="exec")
@click.argument("file")
@click.option("-p", "--param", multiple=True, metavar="NAME=VALUE", help="A parameter; may be given several times.")
@click.option("--priority", help="critical, high, normal, low, or a number from 1 to 15.")
@click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="A label of the run.")
@click.option("--note", help="A note on the run.")
def command(
    session: Session,
    *,
    file: str,
    param: tuple[str, ...],
    priority: str | None,
    label: tuple[str, ...],
    note: str | None,
) -> int:
    """Run a manifest here and now, with live progress. FILE is a file with one job, or - for standard input.

    Needs no server: the steps start in the folder of FILE, as processes of this command. Where a server owns the store,
    it runs them. Exit status 1: the run did not complete. Ctrl-C asks the run to stop, a second one stops its clean-up.
    """
    if file != "-" and Path(file).is_dir():
        raise UserError(f"{file} is a folder; exec runs one file.")
    found = find_manifests([file]).files[0]
    folder = Path.cwd() if file == "-" else Path(file).absolute().parent
    body: dict[str, Any] = {
        "file": {"name": found.name, "text": found.text()},
        "folder": str(folder),
        "parameterTexts": pairs(param, "parameter"),
    }
    given = {"priority": priority, "labels": pairs(label, "label") or None, "note": note}
    body |= {name: value for name, value in given.items() if value is not None}
    return _Execution(session, body).run()


class _Execution:
    """A run that is started once, and followed wherever it goes on."""

    def __init__(self, session: Session, body: dict[str, Any]) -> None:
        self._session = session
        self._body = body
        self._run_id: str | None = None
        self._view: View | None = None

    def run(self) -> int:
        """Start the run and follow it to its end.

        Where another process owned the store, and went away meanwhile, this one goes on in its place.
        """
        moves = 0
        while True:
            try:
                with self._session.program.connect(self._session.settings, works=True) as client:
                    return self._follow(client)
            except Unavailable:
                moves += 1
                if self._run_id is None or moves > _MOVES:
                    raise

    def _follow(self, client: Client) -> int:
        from windlass.cli.watch.follow import follow_run, view_of  # noqa: PLC0415 - a mistake is told without it

        if self._run_id is None or self._view is None:
            run = client.post("runs", body=self._body, project=self._session.project)
            for warning in run["warnings"]:
                self._session.out.error(warning)
            self._run_id = str(run["id"])
            self._view = view_of(self._session, self._run_id, logs=True)
        interrupts = _Interrupts(self._session, client, self._run_id)
        return follow_run(self._session, client, self._run_id, view=self._view, on_interrupt=interrupts)


class _Interrupts:
    """What Ctrl-C does to the run, the first time and the second."""

    def __init__(self, session: Session, client: Client, run_id: str) -> None:
        self._session = session
        self._client = client
        self._run_id = run_id
        self._count = 0

    def __call__(self) -> bool:
        """Ask the run to stop and go on following; False when it was asked often enough."""
        self._count += 1
        if self._count > _PATIENCE:
            return False
        told = "stopping the run" if self._count == 1 else "stopping its clean-up too"
        self._session.out.error(
            f"windlass: interrupted, {told}; Ctrl-C again to {'hurry' if self._count == 1 else 'leave'}"
        )
        try:
            self._client.post("runs", self._run_id, "cancel")
        except Conflict:
            return True  # it has ended meanwhile
        return True
