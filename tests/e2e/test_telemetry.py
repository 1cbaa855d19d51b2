"""Traces and metrics by OpenTelemetry: from whoever starts a run down to its steps, and never in the way."""

from __future__ import annotations

import json
import signal
import socket
from typing import Final

import pytest

from tests.e2e.stage import HEAD, Socket, accepted, apply, ended, kill, log, serve
from tests.fixtures.collector import Collector, Span
from tests.fixtures.program import Windlass

_JOBS: Final = f"""\
{HEAD % "traced"}steps:
  - {{name: show, run: 'echo "$TRACEPARENT"'}}
  - {{name: again, run: exit 75, retry: {{attempts: 2, delay: 0.1, on: ["exit"]}}}}
  - {{name: never, run: "true"}}
---
{HEAD % "wide"}steps:
  - {{name: each, matrix: {{n: [1, 2]}}, run: 'echo "$TRACEPARENT"'}}
---
{HEAD % "parent"}steps:
  - {{name: call, uses: {{job: wide}}}}
---
{HEAD % "long"}steps:
  - {{name: wait, onWorkerLost: retry, run: 'echo "$TRACEPARENT"; [ "$WINDLASS_ATTEMPT" = 2 ] || sleep 60'}}
"""
_TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
_PARENT: Final = "b7ad6b7169203331"
_GIVEN: Final = f"00-{_TRACE}-{_PARENT}-01"


def sending(collector: Collector) -> dict[str, str]:
    """Return the variables of a process that sends everything there, soon."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
    }


def spans(collector: Collector, run: str) -> dict[str, list[Span]]:
    """Return the spans of a run once that of the run itself is there, by name, in the order of their starts."""
    mine: list[Span] = []

    def complete() -> bool:
        mine[:] = [one for one in collector.spans if one.attributes["windlass.run.id"] == run]
        return any(one.name.startswith("run ") for one in mine)

    collector.wait(complete, f"the span of run {run}")
    found: dict[str, list[Span]] = {}
    for one in sorted(mine, key=lambda span: span.start):
        found.setdefault(one.name, []).append(one)
    return found


@pytest.mark.promise("H14", part="traces")
def test_a_trace_goes_from_the_caller_through_the_run_to_its_steps(
    collector: Collector, windlass: Windlass, api: Socket
) -> None:
    apply(windlass, _JOBS)
    serve(windlass, **sending(collector))
    windlass.env["TRACEPARENT"] = _GIVEN
    run = accepted(windlass, "traced")
    told = ended(windlass, run)
    found = spans(collector, run)
    (whole,) = found["run traced"]
    assert (whole.trace_id, whole.parent_id, whole.failed) == (_TRACE, _PARENT, True)
    assert whole.attributes["windlass.correlation_id"] == told["correlationId"] == _TRACE
    (show,), (again,) = found["task show"], found["task again"]
    assert {show.parent_id, again.parent_id} == {whole.span_id}
    assert "task never" not in found
    assert (show.failed, again.failed) == (False, True)
    (shown,) = found["attempt show"]
    assert log(windlass, run, "--step", "show") == [f"00-{_TRACE}-{shown.span_id}-01"]
    assert shown.parent_id == show.span_id
    first, second = found["attempt again"]
    assert [one.attributes["windlass.attempt"] for one in (first, second)] == [1, 2]
    assert first.parent_id == second.parent_id == again.span_id
    assert whole.start <= show.start <= shown.start <= shown.end <= first.start < second.end <= whole.end
    assert {one["service.name"] for one in collector.senders} == {"windlass"}

    body = json.dumps({"correlationId": "mine"}).encode()
    other = "4bf92f3577b34da6a3ce929d0e0e4736"
    _, answer = api.raw("POST", "jobs/wide/run", body, traceparent=f"00-{other}-{_PARENT}-01")
    run = json.loads(answer)["id"]
    assert ended(windlass, run)["correlationId"] == "mine"
    found = spans(collector, run)
    assert {one.trace_id for many in found.values() for one in many} == {other}
    assert sorted(one.attributes["windlass.key"] for one in found["task each"]) == ["1", "2"]


@pytest.mark.promise("H14", part="traces")
def test_a_run_that_a_step_starts_is_below_that_step(collector: Collector, windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    serve(windlass, **sending(collector))
    run = json.loads(api.raw("POST", "jobs/parent/run")[1])["id"]
    assert ended(windlass, run)["state"] == "completed"
    above = spans(collector, run)
    (child,) = api("GET", f"runs/{run}/children")["items"]
    (below,) = spans(collector, child["id"])["run wide"]
    (attempt,) = above["attempt call"]
    assert (below.trace_id, below.parent_id) == (attempt.trace_id, attempt.span_id)
    assert below.trace_id == run.replace("-", "")


@pytest.mark.promise("H14", part="traces")
def test_a_trace_goes_on_where_the_server_was_killed(collector: Collector, windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    server = serve(windlass, **sending(collector))
    run = json.loads(api.raw("POST", "jobs/long/run")[1])["id"]
    followed = windlass.start("run", "logs", "--follow", run)
    assert followed.stdout is not None
    first = followed.stdout.readline().strip()
    kill(server)
    serve(windlass, **sending(collector))
    assert ended(windlass, run)["state"] == "completed"
    found = spans(collector, run)
    (whole,), attempts = found["run long"], found["attempt wait"]
    assert whole.trace_id == run.replace("-", "")
    assert whole.parent_id == ""
    assert [line.split("-")[2] for line in log(windlass, run)] == [one.span_id for one in attempts]
    assert first.split("-")[1] == whole.trace_id
    assert [one.attributes["windlass.outcome"] for one in attempts] == ["lost", "completed"]


@pytest.mark.promise("H14", part="exported metrics")
def test_metrics_are_sent_too(collector: Collector, windlass: Windlass, api: Socket) -> None:
    apply(windlass, _JOBS)
    serve(windlass, **sending(collector))
    run = json.loads(api.raw("POST", "jobs/wide/run")[1])["id"]
    ended(windlass, run)
    collector.wait(lambda: collector.metrics.get(("windlass_runs_ended", "other,completed")) == 1, "the end of the run")
    assert collector.metrics["windlass_attempt_duration_seconds", "other"] == 2
    collector.wait(lambda: collector.metrics.get(("windlass_worker_slots", "default")) == 2, "the slots of the worker")


@pytest.mark.promise("H14", part="traces")
@pytest.mark.promise("H14", part="exported metrics")
@pytest.mark.parametrize("listens", [False, True], ids=["refuses", "never answers"])
def test_a_collector_that_is_down_holds_nothing_up(windlass: Windlass, api: Socket, *, listens: bool) -> None:
    with socket.socket() as collector:
        collector.bind(("127.0.0.1", 0))
        if listens:
            collector.listen()
        apply(windlass, _JOBS)
        server = serve(
            windlass,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.getsockname()[1]}",
            OTEL_BSP_SCHEDULE_DELAY="50",
            OTEL_METRIC_EXPORT_INTERVAL="100",
        )
        for _ in range(3):
            run = json.loads(api.raw("POST", "jobs/wide/run")[1])["id"]
            assert ended(windlass, run)["state"] == "completed"
        assert b"windlass_runs_ended_total" in api.raw("GET", "/metrics")[1]
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
        assert server.returncode == 0


def test_without_opentelemetry_a_given_trace_is_handed_on(windlass: Windlass) -> None:
    apply(windlass, _JOBS)
    serve(windlass)
    plain = accepted(windlass, "wide")
    ended(windlass, plain)
    assert log(windlass, plain, "--step", "each") == ["", ""]
    windlass.env["TRACEPARENT"] = _GIVEN
    run = accepted(windlass, "wide")
    assert ended(windlass, run)["correlationId"] == _TRACE
    assert [line.partition(_TRACE)[2] for line in log(windlass, run)] == [f"-{_PARENT}-01"] * 2
    windlass.env["TRACEPARENT"] = "00-not-a-trace-\x01"
    assert windlass("--json", "run", "get", run).code == 0
    assert ended(windlass, accepted(windlass, "wide"))["correlationId"] is None


def test_nothing_of_it_is_imported_where_nobody_asks(windlass: Windlass) -> None:
    (windlass.folder / "job.yaml").write_text(_JOBS.partition("---")[0])
    folder = windlass.folder / "spy"
    folder.mkdir()
    spy = "import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    (folder / "sitecustomize.py").write_text(spy)
    told = windlass("exec", "job.yaml", env={"PYTHONPATH": str(folder)}).stderr.split()
    assert "windlass.engine.worker" in told
    assert [name for name in told if name.partition(".")[0] in {"opentelemetry", "prometheus_client"}] == []
