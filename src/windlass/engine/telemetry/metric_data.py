"""Figures in the shape that OpenTelemetry's exporters take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from windlass.engine.metrics.families import BY_NAME
from windlass.model.metric import Distribution, Family, Figures, Series


def metrics_data(figures: Figures, resource: Resource, version: str, *, since: int, now: int) -> MetricsData:
    """Return figures that were counted from `since` until `now`, in nanoseconds since the epoch."""
    metrics = [
        Metric(family.name.removesuffix("_total"), family.help, _unit(family), data)
        for name, series in figures.items()
        if (data := _data(family := BY_NAME[name], series, since, now)).data_points
    ]
    scope = ScopeMetrics(InstrumentationScope("windlass", version), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _data(family: Family, series: Series, since: int, now: int) -> Sum | Gauge | Histogram:
    if family.kind == "histogram":
        return Histogram(list(_histograms(family, series, since, now)), AggregationTemporality.CUMULATIVE)
    points = [
        NumberDataPoint(dict(zip(family.labels, labels, strict=True)), since, now, value)
        for labels, value in series.items()
        if not isinstance(value, Distribution)
    ]
    return (
        Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True) if family.kind == "counter" else Gauge(points)
    )


def _histograms(family: Family, series: Series, since: int, now: int) -> Iterator[HistogramDataPoint]:
    for labels, value in series.items():
        if isinstance(value, Distribution):
            counts = list(value.counts)
            yield HistogramDataPoint(
                attributes=dict(zip(family.labels, labels, strict=True)),
                start_time_unix_nano=since,
                time_unix_nano=now,
                count=sum(counts),
                sum=value.sum,
                bucket_counts=counts,
                explicit_bounds=value.bounds,
                min=cast("float", None),  # not known, and to be left out
                max=cast("float", None),
            )


def _unit(family: Family) -> str:
    name = family.name.removesuffix("_total")
    return "s" if name.endswith("_seconds") else "By" if name.endswith("_bytes") else "1"
