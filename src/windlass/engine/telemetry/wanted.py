"""What the standard variables of OpenTelemetry ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_HTTP: Final = "http/protobuf"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which signals are to be sent, and what is asked for that cannot be done."""

    traces: bool = False
    metrics: bool = False
    problems: tuple[str, ...] = ()


def wanted_signals(environ: Mapping[str, str]) -> Wanted:
    """Return what `environ` asks for: each signal that has an exporter, or an address to send it to."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Wanted()
    problems: list[str] = []
    return Wanted(
        traces=_wants(environ, "TRACES", problems),
        metrics=_wants(environ, "METRICS", problems),
        problems=tuple(problems),
    )


def _wants(environ: Mapping[str, str], signal: str, problems: list[str]) -> bool:
    exporter = environ.get(f"OTEL_{signal}_EXPORTER", "").strip()
    if not exporter:
        exporter = "otlp" if environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or environ.get(_ENDPOINT) else "none"
    if exporter not in {"otlp", "none"}:
        problems.append(f"OTEL_{signal}_EXPORTER: {exporter[:40]!r} is not there; it can be otlp or none")
        return False
    asked = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if exporter == "otlp" and asked not in {None, "", _HTTP}:
        problems.append(f"OTEL_EXPORTER_OTLP_PROTOCOL: {asked[:40]!r} is not there; it can be {_HTTP}")
        return False
    return exporter == "otlp"
