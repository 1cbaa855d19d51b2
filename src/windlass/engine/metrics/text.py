"""Metrics as the text that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder

from windlass.engine.metrics.families import BY_NAME
from windlass.model.metric import Distribution, Family, Figures, Series


def exposition(figures: Figures, accept: str) -> tuple[bytes, str]:
    """Return the text of all `figures` and of this process, and its media type, which `accept` chooses."""
    encode, media = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(figures))
    registry.register(_process())
    return encode(registry), media


class _Collector:
    """Offers figures in the library's shape."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield one metric for each name; those that have no series yet say at least what they are."""
        for name, series in self._figures.items():
            yield _metric(BY_NAME[name], series)


@cache
def _process() -> ProcessCollector:
    """Return what tells of CPU time, memory and open files of this process."""
    return ProcessCollector(registry=None)


def _metric(family: Family, series: Series) -> Metric:
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        for labels, value in series.items():
            if isinstance(value, Distribution):
                histogram.add_metric(labels, list(_buckets(value)), value.sum)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    found = kind(family.name, family.help, labels=family.labels)
    for labels, value in series.items():
        if not isinstance(value, Distribution):
            found.add_metric(labels, value)
    return found


def _buckets(value: Distribution) -> Iterable[tuple[str, float]]:
    total = 0
    for bound, count in zip((*map(_bound, value.bounds), "+Inf"), tuple(value.counts), strict=True):
        total += count
        yield bound, total


def _bound(bound: float) -> str:
    return repr(float(bound))
