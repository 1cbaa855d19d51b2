"""How many manifests a second are read, checked and brought to canonical form, on one core."""

from __future__ import annotations

import argparse
import statistics
import time

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.load import load

_MANIFEST = """\
apiVersion: v1
kind: Job
metadata:
  alias: nightly-etl-{number:06}
  labels:
    team: data
parameters:
  region: {{type: string, default: eu}}
timeout: 2h
steps:
  - name: extract
    run: ./extract.sh "$REGION"
    env: {{REGION: "{region}"}}
  - name: transform
    command: ["python3", "transform.py", "--day", "{region}"]
    dependsOn: extract
    timeout: 10m
    retry: {{attempts: 3, delay: 5s}}
  - name: load
    run: |
      ./load.sh
      echo done {number}
    dependsOn: [transform]
"""
_BROKEN = _MANIFEST.replace("dependsOn: extract", "dependson: extrct")


def manifests(template: str, count: int, region: str) -> list[str]:
    """Return `count` different manifests."""
    return [template.format(number=number, region=region) for number in range(count)]


def rate(texts: list[str], catalog: StepCatalog, *, findings: bool) -> float:
    """Return manifests a second for one pass over `texts`; with `findings` each finding's place is computed too."""
    began = time.process_time()
    for text in texts:
        loaded = load(text, "job.yaml", catalog)
        if findings and not loaded.findings:
            raise SystemExit("a broken manifest was taken for a good one")
        if not findings and not loaded.documents[0].digest:
            raise SystemExit("a good manifest was refused")
    return len(texts) / (time.process_time() - began)


def main() -> None:
    """Print a table of rates: the median of several passes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000, help="manifests in one pass")
    parser.add_argument("--passes", type=int, default=5, help="passes; the median counts")
    options = parser.parse_args()
    catalog = StepCatalog()
    rows = [
        ("plain", manifests(_MANIFEST, options.count, "eu"), False),
        ("with expressions", manifests(_MANIFEST, options.count, "${{{{ parameters.region }}}}".format()), False),
        ("read with positions", ["# a\ttab\n" + text for text in manifests(_MANIFEST, options.count, "eu")], False),
        ("with two mistakes", manifests(_BROKEN, options.count // 5, "eu"), True),
    ]
    print(f"{'manifests':<22}{'bytes':>7}{'a second':>10}")
    for name, texts, findings in rows:
        figure = statistics.median(rate(texts, catalog, findings=findings) for _ in range(options.passes))
        print(f"{name:<22}{len(texts[0].encode()):>7}{figure:>10,.0f}")


if __name__ == "__main__":
    main()
