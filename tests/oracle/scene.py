"""One owner with jobs that write the ledger, for tests of one fault each; at the end nothing may be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.oracle.crash import Victim, open_runs, until
from tests.oracle.ledger import Ledger
from windlass.client.client import Client
from windlass.ids import parse_id


def step(script: str, **fields: Any) -> dict[str, Any]:
    """Return a step that says in the ledger when it begins and ends."""
    return {"run": f'. "$EFFECTS"; begin; {script}; say end', **fields}


class Scene:
    """A victim, the runs that it has answered for, and the end that all of it must come to."""

    def __init__(self, folder: Path, **settings: str) -> None:
        """Prepare an owner; nothing runs yet."""
        self.folder = folder
        self.ledger = Ledger(folder / "ledger")
        self.victim = Victim(folder, self.ledger, **{"drain_grace": "2s", **settings})
        self.accepted: list[bytes] = []

    def define(self, **jobs: dict[str, Any] | list[dict[str, Any]]) -> list[Path]:
        """Store jobs; each is one step, a list of steps, or a whole manifest without its head."""
        files = []
        for alias, said in jobs.items():
            listed = said if isinstance(said, list) else [{"name": "a", **said}]
            rest = said if isinstance(said, dict) and "steps" in said else {"steps": listed}
            manifest = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias}}
            manifest["defaults"] = {"env": self.ledger.environment()}
            files.append(self.folder / f"{alias}.yaml")
            files[-1].write_text(json.dumps(manifest | rest))
        self.victim.apply(*files)
        return files

    def begin(self, client: Client, job: str, **body: Any) -> str:
        """Start a run and return its id."""
        found = str(client.post("jobs", job, "run", body=body)["id"])
        run_id = parse_id(found)
        assert run_id is not None
        self.accepted.append(run_id)
        return found

    def started(self) -> int:
        """Return how many attempts have begun."""
        return self.said("start")

    def said(self, phase: str) -> int:
        """Return how often the ledger says something."""
        return sum(one.phase == phase for one in self.ledger.read())

    def settle(self, client: Client, *, patience: float = 60) -> None:
        """Return once all runs are final."""
        until(lambda: not open_runs(client), "the end of all runs", patience=patience, pace=0.05)

    def settle_all_but(self, client: Client, job: str) -> None:
        """Return once all runs of other jobs are final."""
        until(lambda: {one.split()[0] for one in open_runs(client)} <= {job}, f"the end of all but {job}")

    def ends(self, client: Client) -> dict[str, tuple[str, str | None]]:
        """Return state and reason of runs by the name of their job, of the newest where there are several."""
        runs = list(client.pages("runs"))
        return {run["job"]: (run["state"], run["reason"]) for run in reversed(runs)}

    def finish(self) -> None:
        """Let the owner end, and fail where the oracle finds anything."""
        assert self.victim.stop() == 0
        assert not self.ledger.living()
        self.assert_sound(at_rest=True)

    def assert_sound(self, *, at_rest: bool = False) -> None:
        """Fail where the oracle finds anything in the store; nobody may own it meanwhile."""
        found = self.victim.problems(self.accepted, at_rest=at_rest)
        assert found == [], "\n".join(found)
