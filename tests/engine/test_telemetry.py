"""When OpenTelemetry is wanted, and that what cannot be sent is said and stops nothing."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from windlass.engine.engine import Engine
from windlass.engine.telemetry.telemetry import start_telemetry
from windlass.engine.telemetry.wanted import Wanted, wanted_signals

HERE = "http://127.0.0.1:4318"


@pytest.mark.parametrize(
    ("environ", "traces", "metrics"),
    [
        ({}, False, False),
        ({"OTEL_SERVICE_NAME": "mine"}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE}, True, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": HERE}, True, False),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": HERE}, False, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_METRICS_EXPORTER": "none"}, True, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_SDK_DISABLED": "TRUE"}, False, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True, True),
    ],
)
def test_the_standard_variables_say_what_is_sent(environ: Mapping[str, str], *, traces: bool, metrics: bool) -> None:
    assert wanted_signals(environ) == Wanted(traces=traces, metrics=metrics)


def test_what_is_not_there_is_named() -> None:
    found = wanted_signals({"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_METRICS_EXPORTER": "otlp"})
    assert found.problems == ("OTEL_TRACES_EXPORTER: 'zipkin' is not there; it can be otlp or none",)
    assert (found.traces, found.metrics) == (False, True)
    found = wanted_signals({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"})
    assert found.problems == ("OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' is not there; it can be http/protobuf",)
    assert (found.traces, found.metrics) == (False, True)


async def test_without_the_package_the_log_says_what_to_install(
    engine: Engine, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [one for one in sys.modules if one.startswith("windlass.engine.telemetry.") and "wanted" not in one]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)
    with caplog.at_level(logging.WARNING):
        assert await start_telemetry(engine, {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE}, "1") is None
    assert "install windlass[otel]" in caplog.text
    assert engine.tracer is None
