"""Manifests read and checked, errors with line and column."""

from __future__ import annotations

import json
from functools import partial

from bench.children import peer
from bench.entry import Entry, better, in_turn, median_of, versions
from bench.lint import _BROKEN, _MANIFEST, manifests, rate
from bench.settings import LINT
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.schema import job_schema

AIM = 10_000


def measure(_: str, rounds: int) -> Entry:
    """Lint the same manifests: ours checks all that lint checks, the peer parses and holds them against the schema."""
    catalog = StepCatalog()
    texts = manifests(_MANIFEST, LINT["count"], "eu")
    options = {"texts": texts, "schema": job_schema(catalog)}
    found = in_turn(
        rounds,
        {
            "windlass": lambda: {"rate": rate(texts, catalog, findings=False)},
            "peer": partial(peer, "jsonschema", "lint", options),
        },
    )
    broken = rate(manifests(_BROKEN, LINT["count"] // 5, "eu"), catalog, findings=True)
    mine, theirs = median_of(found["windlass"], "rate"), median_of(found["peer"], "validated")
    return Entry(
        row="lint",
        store=None,
        ours=round(mine),
        peer=round(theirs),
        peer_name="PyYAML (C) and jsonschema",
        ratio=better(mine, theirs),
        aim=f">= {AIM:,} manifests/s",
        met=mine >= AIM,
        others={
            "PyYAML (C), parsed only": round(median_of(found["peer"], "parsed")),
            "ours with two mistakes each, placed": round(broken),
        },
        settings={**LINT, "bytes a manifest": len(texts[0].encode()), "rounds": rounds},
        versions=versions(peer=json.dumps(found["peer"][0]["version"])),
    )
