"""Measure Windlass beside its peers: `python -m bench [--row NAME ...] [--store sqlite] [--rounds N]`.

Prints a table and keeps everything in bench/results.json. The exit code is 1 where an aim was missed, 2 where a row
could not be measured.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

from bench.children import NotMeasured
from bench.entry import Entry, table, write
from bench.settings import ROUNDS
from windlass.errors import WindlassError

#: Rows that are in force, each with whether it is measured on a store.
ROWS = {
    "drain": True,
    "submit": True,
    "latency": True,
    "flow40": True,
    "steps1000": True,
    "archive": True,
    "logs": True,
    "recovery": True,
    "history": True,
    "memory": True,
    "spawn": False,
    "lint": False,
    "graph": False,
    "cold": False,
}
#: Rows that land with what they measure.
LATER = {
    "drain2": "several worker processes on one store",
    "ssh": "steps on other machines",
    "plan": "the planner",
    "horizon": "PostgreSQL with its vacuum horizon held",
}
STORES = ("sqlite",)


def main() -> int:
    """Measure what is asked for."""
    options = _options()
    entries: list[Entry] = []
    failed: list[str] = []
    for row in options.row or ROWS:
        print(f"{row} ...", file=sys.stderr, flush=True)
        measure = importlib.import_module(f"bench.rows.{row}").measure
        try:
            entries.append(measure(options.store, options.rounds))
        except (NotMeasured, WindlassError, subprocess.SubprocessError) as error:
            failed.append(f"{row} could not be measured: {error}")
        else:
            write(entries[-1:])
    if entries:
        print(table(entries))
    for sentence in failed:
        print(sentence, file=sys.stderr)
    if failed:
        return 2
    return 0 if all(entry.met for entry in entries) else 1


def _options() -> argparse.Namespace:
    """Read the command line; a row or store that is not there ends the program with a sentence."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--row", action="append", help=f"one of {', '.join(ROWS)}; all unless given")
    parser.add_argument("--store", default="sqlite", help="sqlite; postgres lands later")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of which the median counts")
    options = parser.parse_args()
    if options.store not in STORES:
        parser.error(f"the store {options.store} lands later; there is {', '.join(STORES)}")
    for row in options.row or ():
        if row in LATER:
            parser.error(f"the row {row} lands later, with {LATER[row]}")
        if row not in ROWS:
            parser.error(f"there is no row {row}; there are {', '.join((*ROWS, *LATER))}")
    if options.rounds < 1:
        parser.error("--rounds counts from 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
