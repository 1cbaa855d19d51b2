"""`windlass run logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session
from windlass.cli.watch.chunks import Chunks
from windlass.cli.watch.loglines import LogLines, chunk_bytes
from windlass.cli.watch.reconnect import Lifeline, reconnect_option
from windlass.cli.watch.streams import refuse_idle

if TYPE_CHECKING:
    from windlass.client.client import Client

_EXAMPLES = """
windlass run logs 01a20241-74c1
windlass run logs 01a20241-74c1 --step load --follow
windlass run logs 01a20241-74c1 --step load --attempt 1 --timestamps
"""


@make(name="logs", examples=_EXAMPLES)
@click.argument("run", type=RUN)
@click.option("--step", help="Only this step.")
@click.option("--key", help="Only this matrix cell or target.")
@click.option("--attempt", type=click.IntRange(1), help="Only this attempt; all of them where not given.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@click.option("--timestamps", is_flag=True, help="Begin each line with its time.")
@click.option("--raw", is_flag=True, help="Print the bytes as they are, with nothing taken out of them.")
@reconnect_option()
def command(
    session: Session, *, run: str, follow: bool, timestamps: bool, raw: bool, reconnect: float, **which: Any
) -> None:
    """Print the output of a run's steps, each line behind the name of its step.

    With --step the lines stand alone; on a terminal a line says where each further attempt begins. What a terminal
    would act on is taken out, unless --raw is given. With --json each chunk is an object on a line of its own.
    """
    out = session.out
    with session.connect() as client, Lifeline(session, client, reconnect) as line:
        run = client.get("runs", run)["id"]
        if follow:
            refuse_idle(client, run)
        chunks = Chunks(run, **which)
        lines = LogLines(
            write=out.write,
            colours=out.colours,
            timestamps=timestamps,
            named=which["step"] is None,
            marks=out.terminal and which["attempt"] is None,
        )

        def show(client: Client) -> None:
            for chunk in chunks.read(client, follow=follow):
                if raw:
                    out.write_bytes(chunk_bytes(chunk))
                elif out.format != "table":
                    out.compact(chunk)
                else:
                    lines.take(chunk)
                out.flush()

        if follow:
            line.through(show)
        else:
            show(client)
        lines.close()
        out.flush()
    if chunks.empty:
        asked = ", ".join(f"{name} {value}" for name, value in which.items() if value is not None)
        out.note(f"windlass: There is no output{f' of {asked}' if asked else ''}.")
