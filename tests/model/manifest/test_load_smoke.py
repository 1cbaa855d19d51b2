"""A whole manifest, from text to job value."""

from __future__ import annotations

import pytest

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.load import load

MANIFEST = """\
apiVersion: v1
kind: Job
metadata: {alias: nightly-etl, retries: 2, runTimeout: 1h}
priority: high
defaults: {env: {TZ: UTC}, timeout: 30m, retry: {delay: 10s}}
steps:
  - name: extract
    command: '["sh", "-c", "echo hi"]'
    next: [load-eu]
  - name: load-eu
    run: ./load.sh "$ROWS"
    env: {ROWS: 5}
"""


@pytest.mark.promise("C01")
def test_a_manifest_becomes_a_job() -> None:
    loaded = load(MANIFEST, "job.yaml", StepCatalog())
    assert loaded.findings == ()
    (document,) = loaded.documents
    job = document.job
    assert (job.alias, job.priority, job.timeout) == ("nightly-etl", 10, 3600)
    extract, load_eu = job.steps
    assert (extract.type, extract.config) == ("process", {"command": ["sh", "-c", "echo hi"]})
    assert (load_eu.type, load_eu.depends_on) == ("shell", ("extract",))
    assert load_eu.env == {"TZ": "UTC", "ROWS": "5"}
    assert (extract.retry.attempts, extract.retry.delay, extract.timeout) == (3, 10, 1800)
