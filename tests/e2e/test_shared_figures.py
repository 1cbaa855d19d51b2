"""Who tells the figures of a store that a server and applications share, and who sends the spans of its runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import windlass as library
from tests.e2e.stage import HEAD, Socket, accepted, apply
from tests.fixtures.collector import Collector
from tests.fixtures.program import Windlass


@pytest.mark.promise("H14", part="prometheus")
@pytest.mark.promise("H14", part="traces")
async def test_an_application_that_was_there_first_keeps_a_server_from_nothing_that_it_tells(
    postgres_url: str, windlass: Windlass, home: Path, tmp_path: Path, collector: Collector
) -> None:
    windlass.env["WINDLASS_DATABASE_URL"] = postgres_url
    async with library.Windlass(postgres_url, workers=0, home=tmp_path / "of the application"):
        await asyncio.to_thread(_told_by_a_server, windlass, home, collector)


def _told_by_a_server(windlass: Windlass, home: Path, collector: Collector) -> None:
    apply(windlass, f"{HEAD % 'good'}steps: [{{name: say, run: echo hello}}]\n")
    server = windlass.start(
        "up", env={"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    )
    assert server.stdout is not None
    (ready,) = (line for line in [server.stdout.readline()] if line.startswith("ready unix://"))
    api = Socket(home, Path(ready.split("unix://")[1].split()[0]).name)
    run = accepted(windlass, "good")
    assert windlass("run", "watch", run, "--quiet").code == 0
    collector.wait(lambda: any(span.name == "run good" for span in collector.spans), "the span of the run")
    status, text = api.raw("GET", "/metrics")
    assert status == 200
    told = {
        (sample.name, sample.labels.get("duty")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }
    assert told["windlass_duty_held", "metrics"] == told["windlass_duty_held", "traces"] == 1
    assert {"windlass_runs_ended_total", "windlass_workers"} <= {name for name, _ in told}
