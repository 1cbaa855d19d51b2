"""A program of the bench that starts another one in a session of its own, says which, and then waits for ever."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    below = subprocess.Popen(["sleep", "1000"], start_new_session=True)  # noqa: S607 - any sleep
    Path(json.load(sys.stdin)["told"]).write_text(str(below.pid))
    signal.pause()
