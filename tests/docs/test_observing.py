"""The rules and lists about metrics speak of metrics that there are."""

from __future__ import annotations

import json
import re

import yaml

from tests.repository.tree import ROOT
from windlass.engine.metrics.families import BY_NAME

GUIDE = ROOT / "docs" / "guide"


def check(where: str, expression: str) -> None:
    """Fail where an expression of Prometheus names a metric or a label that there is not."""
    used = re.findall(r"(windlass_\w+?)(?:_bucket)?(?:\{(\w+)=|\b(?!\w))", expression)
    assert used, where
    for name, label in used:
        assert name in BY_NAME, f"{where}: there is no {name}"
        assert not label or label in BY_NAME[name].labels, f"{where}: {name} has no {label}"


def test_alert_rules_use_metrics_and_labels_that_exist() -> None:
    rules = [rule for group in yaml.safe_load((GUIDE / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        check(rule["alert"], rule["expr"])


def test_the_dashboard_shows_metrics_that_exist() -> None:
    panels = json.loads((GUIDE / "dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        for target in panel["targets"]:
            check(panel["title"], target["expr"])
