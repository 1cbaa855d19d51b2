"""Measure Windlass beside its peers: `python -m bench [--row NAME ...] [--store sqlite|postgres] [--rounds N]`.

Prints a table and what was missed, and keeps everything in bench/results.json, each row when it has been measured. The
exit code is 1 where an aim was missed, 2 where a row could not be measured.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from bench.children import NotMeasured, clear_up
from bench.ending import end_when_told
from bench.entry import Entry, missed, table, write
from bench.queues import known_peers
from bench.settings import BESIDE, HORIZON, ROUNDS
from windlass.errors import WindlassError

#: Rows that are in force, each with the stores on which it is measured; those without any need none.
ROWS: Mapping[str, tuple[str, ...]] = {
    "drain": ("sqlite", "postgres"),
    "drain2": ("postgres",),
    "submit": ("sqlite", "postgres"),
    "latency": ("sqlite", "postgres"),
    "flow40": ("sqlite", "postgres"),
    "steps1000": ("sqlite", "postgres"),
    "archive": ("sqlite",),
    "logs": ("sqlite",),
    "recovery": ("sqlite", "postgres"),
    "history": ("sqlite", "postgres"),
    "horizon": ("postgres",),
    "costs": ("postgres",),
    "memory": ("sqlite",),
    "spawn": (),
    "lint": (),
    "graph": (),
    "cold": (),
}
#: Rows that land with what they measure.
LATER = {
    "ssh": "steps on other machines",
    "plan": "the planner",
}
STORES = ("sqlite", "postgres")


def module_of(row: str, store: str) -> str:
    """Return the module that measures a row on a store: SQLite's may be measured beside others than PostgreSQL's."""
    own = Path(__file__).with_name("rows") / store / f"{row}.py"
    return f"bench.rows.{store}.{row}" if own.exists() else f"bench.rows.{row}"


def main() -> int:
    """Measure what is asked for."""
    options = _options()
    HORIZON["held"] = options.hold
    BESIDE.update(options.beside or ())
    end_when_told()
    clear_up()
    entries: list[Entry] = []
    failed: list[str] = []
    try:
        for row in options.row or _rows_of(options.store):
            print(f"{row} ...", file=sys.stderr, flush=True)
            failed += _measure(row, options, entries)
    finally:  # whatever ends it: what was found is told
        if entries:
            print(table(entries))
            print(missed(entries), end="\n" if missed(entries) else "")
        for sentence in failed:
            print(sentence, file=sys.stderr)
    if failed:
        return 2
    return 0 if all(entry.met for entry in entries) else 1


def _measure(row: str, options: argparse.Namespace, entries: list[Entry]) -> list[str]:
    """Measure a row and keep what was found; return why it could not be, if it could not."""
    try:
        entry: Entry = importlib.import_module(module_of(row, options.store)).measure(options.store, options.rounds)
    except (NotMeasured, WindlassError, subprocess.SubprocessError) as error:
        return [f"{row} could not be measured: {error}"]
    except Exception as error:  # noqa: BLE001 - the rows behind it are measured all the same
        traceback.print_exc()
        return [f"{row} could not be measured: {error!r}"]
    entries.append(entry)
    if not BESIDE:  # a row without some of its peers takes the place of none with them
        write([entry])
    if entry.ours is None:
        return [f"{row} could not be measured: {entry.others.get('windlass', 'there are no figures')}"]
    return []


def _rows_of(store: str) -> list[str]:
    """Return the rows that are measured when none is named: on PostgreSQL those that are measured there."""
    return [row for row, stores in ROWS.items() if store in stores or (store == "sqlite" and not stores)]


def _options() -> argparse.Namespace:
    """Read the command line; a row or store that is not there ends the program with a sentence."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--row", action="append", help=f"one of {', '.join(ROWS)}; all unless given")
    parser.add_argument("--store", default="sqlite", choices=STORES, help="sqlite unless given")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of which the median counts")
    held = HORIZON["held"]
    parser.add_argument(
        "--hold", type=float, default=held, metavar="SECONDS", help=f"how long `horizon` holds a transaction, {held:g}"
    )
    names = known_peers()
    parser.add_argument(
        "--beside", action="append", choices=names, help="on PostgreSQL: a peer; all unless given, else not kept"
    )
    options = parser.parse_args()
    for row in options.row or ():
        if row in LATER:
            parser.error(f"the row {row} lands later, with {LATER[row]}")
        if row not in ROWS:
            parser.error(f"there is no row {row}; there are {', '.join((*ROWS, *LATER))}")
        if ROWS[row] and options.store not in ROWS[row]:
            parser.error(f"the row {row} is measured on {' and '.join(ROWS[row])}, not on {options.store}")
    if options.beside and options.store != "postgres":
        parser.error("--beside goes with --store postgres")
    if options.rounds < 1:
        parser.error("--rounds counts from 1")
    if options.hold < 1:
        parser.error("--hold takes a second at least")
    return options


if __name__ == "__main__":
    sys.exit(main())
