"""Lengths of time counted in buckets, so that hours of them can be added up and still be asked for a median."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

#: Buckets from one length to its double: what is read from one is wrong by 4.5 % at most.
PER_DOUBLE: Final = 8
#: Shorter than this, in microseconds, is all the same.
SHORTEST: Final = 64

#: How many lengths there are in each bucket.
Histogram = dict[int, int]


def bucket_of(length: int) -> int:
    """Return the bucket of a length in microseconds."""
    return math.floor(math.log2(max(length, SHORTEST)) * PER_DOUBLE)


def added(*histograms: Mapping[int, int]) -> Histogram:
    """Return all that several histograms count, as one."""
    whole: Histogram = {}
    for histogram in histograms:
        for bucket, count in histogram.items():
            whole[bucket] = whole.get(bucket, 0) + count
    return whole


def counted(lengths: Iterable[int]) -> Histogram:
    """Return the histogram of lengths in microseconds."""
    whole: Histogram = {}
    for length in lengths:
        bucket = bucket_of(length)
        whole[bucket] = whole.get(bucket, 0) + 1
    return whole


def quantile(histogram: Mapping[int, int], share: float) -> float | None:
    """Return the length, in seconds, that `share` (0 to 1) of those counted do not exceed; None where there is none.

    It is the middle of a bucket: up to 4.5 % off.
    """
    total = sum(histogram.values())
    if not total:
        return None
    wanted = max(1, math.ceil(share * total))
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= wanted:
            return round(2 ** ((bucket + 0.5) / PER_DOUBLE) / 1_000_000, 6)
    raise AssertionError("the counts of a histogram add up to their total")


def to_pairs(histogram: Mapping[int, int]) -> list[list[int]]:
    """Return a histogram as JSON: `[bucket, count]` in order."""
    return [[bucket, histogram[bucket]] for bucket in sorted(histogram)]


def from_pairs(pairs: Iterable[Iterable[int]]) -> Histogram:
    """Return the histogram that `to_pairs` wrote."""
    return {int(bucket): int(count) for bucket, count in pairs}
