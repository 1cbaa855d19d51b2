"""Metrics as Prometheus reads them from a server, and what they say after it was killed."""

from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, serve
from tests.fixtures.program import Windlass

_JOBS = f"""\
{HEAD % "good"}steps: [{{name: say, run: echo hello}}]
---
{HEAD % "bad"}steps:
  - {{name: ask, retry: {{attempts: 2, delay: 0.1, on: ["exit"]}}, run: exit 75}}
  - {{name: then, run: "true"}}
---
{HEAD % "long"}steps: [{{name: wait, run: "echo begun; sleep 60"}}]
"""


def scraped(api: Socket) -> dict[tuple[str, str], float]:
    """Return the values of counters and gauges, by name and the values of their labels."""
    status, text = api.raw("GET", "/metrics")
    assert status == 200
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.mark.promise("H14", part="prometheus")
def test_counters_of_a_server_and_the_next_one_agree_with_history(windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    server = serve(windlass, WINDLASS_METRICS_JOBS="good,bad")
    runs = [accepted(windlass, job) for job in ("good", "good", "bad")]
    for run in runs:
        ended(windlass, run)
    runs.append(accepted(windlass, "long"))
    followed = windlass.start("run", "logs", "--follow", runs[-1])
    assert followed.stdout is not None
    assert "begun" in followed.stdout.readline()
    first = scraped(api)
    assert first["windlass_runs_ended_total", "good,completed"] == 2
    assert first["windlass_runs_ended_total", "bad,failed"] == 1
    assert first["windlass_attempts_ended_total", "bad,failed"] == 2
    assert first["windlass_tasks_ended_total", "bad,skipped"] == 1
    assert first["windlass_output_bytes_total", "good"] == 2 * len("hello\n")
    assert first["windlass_queue_tasks", "default,running"] == 1
    assert first["windlass_worker_slots_used", "default"] == 1
    assert first["windlass_worker_slots", "default"] == 2
    assert first["windlass_processes_started_total", ""] == 5
    assert first["process_resident_memory_bytes", ""] > 10_000_000

    kill(server)
    serve(windlass, WINDLASS_METRICS_JOBS="good,bad")
    ended(windlass, runs[-1])
    second = scraped(api)
    assert second["windlass_attempts_ended_total", "other,lost"] == 1
    assert ("windlass_runs_ended_total", "good,completed") not in second  # counters begin anew with each process
    history = Counter(str(windlass("--json", "run", "get", run).json()["state"]) for run in runs)
    counted: Counter[str] = Counter()
    for samples in (first, second):
        for (name, labels), value in samples.items():
            if name == "windlass_runs_ended_total":
                counted[labels.partition(",")[2]] += int(value)
    assert counted == history


def test_whoever_scrapes_may_ask_for_the_other_format_and_nothing_else(windlass: Windlass, api: Socket) -> None:
    serve(windlass)
    _, text = api.raw("GET", "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert text.endswith(b"# EOF\n")
    assert api.raw("POST", "/metrics")[0] == 405
    assert api.raw("GET", "/metrics?job=x")[0] == 422
