"""`windlass run start`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from windlass.cli.command import make
from windlass.cli.obstacles import first_of
from windlass.cli.options import JOB
from windlass.cli.parameters import parameter_options, parameters_of
from windlass.cli.run.get import note_lacking
from windlass.cli.run.started import expect_end, follow_to_end, note_nobody
from windlass.cli.session import Session
from windlass.cli.text import local_time
from windlass.cli.watch.reconnect import reconnect_option
from windlass.errors import UserError, WindlassError
from windlass.model.idempotency_key import WHAT_IT_HAS, is_key
from windlass.model.pairs import pairs

if TYPE_CHECKING:
    from windlass.client.client import Client

_EXAMPLES = """
windlass run start orders -p region=us --wait
windlass run start orders --in 90m --priority high
windlass run start orders --key orders-2026-01-31
windlass run start report --after 01a20241-74c1 --after 01a20241-9b3f:always
RUN=$(windlass run start orders --quiet)
"""


@make(name="start", examples=_EXAMPLES)
@click.argument("job", type=JOB)
@parameter_options
@click.option("--at", metavar="TIME", help="Not before this time, such as 2026-01-31T12:00; local without a zone.")
@click.option("--in", "delay", metavar="DURATION", help="Not before this much later, such as 90s or 2h.")
@click.option(
    "--after",
    multiple=True,
    metavar="RUN[:CONDITION]",
    help="Not before this run has ended: on success (as where nothing is said), always or failure; several times.",
)
@click.option("--priority", help="critical, high, normal, low, or a number from 1 to 15.")
@click.option("--key", help="Idempotency key: the same key again returns the run that it stands for.")
@click.option("--revision", help="Number or tag of a revision of the job; the newest where not given.")
@click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="A label of the run.")
@click.option("--note", help="A note on the run.")
@click.option("--no-cache", is_flag=True, help="Take no earlier results of steps with cache; the new ones are kept.")
@click.option("--wait", is_flag=True, help="Follow the run to its end; status 1 where it does not complete.")
@reconnect_option()
def command(session: Session, *, job: str, wait: bool, key: str | None, reconnect: float, **options: Any) -> int:
    """Start a run of a job. JOB is its alias or id, or names a revision too: orders@7, orders@stable."""
    body: dict[str, Any] = parameters_of(options["param"], options["params"])
    given = {
        **not_before(options["at"], options["delay"]),
        "priority": options["priority"],
        "revision": options["revision"],
        "labels": pairs(options["label"], "label") or None,
        "note": options["note"],
        "dependsOn": list(options["after"]) or None,
        "noCache": options["no_cache"] or None,
    }
    body |= {name: value for name, value in given.items() if value is not None}
    headers = {} if key is None else {"idempotency-key": checked_key(key)}
    with session.connect() as client:
        if wait:
            expect_end(client)
        path = ("jobs", job, "run")
        run = client.call("POST", path, query={"project": session.project}, body=body, headers=headers)
        for warning in run.pop("warnings"):
            session.out.warn(warning)
        created = run.pop("created")
        if wait:
            if not created:
                session.out.note(f"windlass: The key stands for run {run['id']} already; no other was started.")
            note_lacking(session, run)
            return follow_to_end(session, client, run, reconnect)
        if not created:
            session.out.value(run, lambda: [run["id"]] if session.out.quiet else [_existing(run)])
            return 0
        when = f" for {local_time(run['scheduledAt'])}" if run["state"] == "scheduled" else ""
        told = f"Run {run['id']} is {run['state']}{when or awaited_runs(run)}"
        held = "" if session.out.quiet or session.out.format != "table" or when else _why_not(client, run)
        session.out.value(run, lambda: [run["id"]] if session.out.quiet else [f"{told}.{held}"])
        _note_nobody(session, client, run)
    return 0


def _note_nobody(session: Session, client: Client, run: Mapping[str, Any]) -> None:
    """Say that nobody will take the tasks of a new run, or that nobody works at all."""
    lack = run["waitingFor"] or {}
    if lack.get("others") or "app" in lack.get("worker", ()):
        note_lacking(session, run)
    elif "worker" in lack:
        session.out.note(f"Nobody works on runs: `{lack['command']}` does.")
    elif run["state"] != "queued":  # else there is somebody who takes it
        note_nobody(session, client)


def _why_not(client: Client, run: dict[str, Any]) -> str:
    """Return what keeps a new run from beginning, or ended it at once, as a sentence behind another one.

    The run is accepted when this is told: what cannot be found out now is left out.
    """
    lack = run["waitingFor"] or {}
    if run["state"] not in {"waiting", "cancelled", "queued"} or "worker" in lack or awaited_runs(run):
        return ""
    with suppress(WindlassError):
        held = first_of(client.get("runs", run["id"], "why")["because"])
        return f" {held}" if held else ""
    return ""


def awaited_runs(run: dict[str, Any]) -> str:
    """Return for which runs a waiting run waits, as the end of a sentence; nothing where it waits for none."""
    runs = (run["waitingFor"] or {}).get("runs", ())
    if not runs:
        return ""
    first = f"{runs[0]['id']} of {runs[0]['job']}"
    return f" for {first}" if len(runs) == 1 else f" for {len(runs)} runs, the first is {first}"


def _existing(run: dict[str, Any]) -> str:
    return f"Run {run['id']} is {run['state']}: the key stands for it already, and no other was started."


def checked_key(key: str) -> str:
    """Return an idempotency key that a header can hold; raises UserError where it cannot."""
    if not is_key(key):
        raise UserError(f"--key: an idempotency key {WHAT_IT_HAS}.")
    return key


def not_before(at: str | None, delay: str | None) -> dict[str, str]:
    """Return what the body of a start says for `--at` or `--in`; nothing where neither is given.

    Raises UserError where one makes no sense, or both are given.
    """
    if at is not None and delay is not None:
        raise UserError("--at and --in: give one of them.")
    if at is not None:
        moment = _instant(at)
        if moment is None:
            raise UserError(f'--at: "{at[:80]}" is no time such as 2026-01-31T12:00 or 2026-01-31T12:00+01:00.')
        return {"scheduledAt": _utc(moment)}
    if delay is not None:
        if _length(delay) is None:
            raise UserError(f'--in: "{delay[:80]}" is no duration such as 90s, 15m or 1h30m.')
        return {"delay": delay}
    return {}


def past(text: str | None, option: str) -> str | None:
    """Return the time that a text means, as RFC 3339 in UTC: a time, or a duration before now; None where not given.

    Raises UserError, naming `option`, where it is neither.
    """
    if text is None:
        return None
    moment, length = _instant(text), _length(text)
    if moment is not None:
        return _utc(moment)
    if length is not None:
        return _utc(datetime.now(UTC) - length)
    raise UserError(
        f'{option}: "{text[:80]}" is neither a time such as 2026-01-31T12:00 nor a duration such as 90s or 2h.'
    )


def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _length(text: str) -> timedelta | None:
    from windlass.model.durations import parse_duration  # noqa: PLC0415 - few commands name a duration

    try:
        return timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        return None


def _utc(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
