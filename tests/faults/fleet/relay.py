"""Carries connections from one Unix socket to another until its standard input ends; a program of its own.

A server tells by the process at the other end of a connection whether a step asks. Through a relay that is nobody's
parent, what a proxy in the test's own process carries comes from no worker.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults.fleet.proxy import Proxy

if __name__ == "__main__":
    with Proxy(Path(sys.argv[2]), seed=0, listen=Path(sys.argv[1])):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
