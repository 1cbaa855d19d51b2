"""The rules and lists about metrics speak of metrics that there are."""

from __future__ import annotations

import re

import yaml

from tests.repository.tree import ROOT
from windlass.engine.metrics.families import BY_NAME

GUIDE = ROOT / "docs" / "guide"


def test_alert_rules_use_metrics_and_labels_that_exist() -> None:
    rules = [rule for group in yaml.safe_load((GUIDE / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        used = re.findall(r"(windlass_\w+?)(?:_bucket)?(?:\{(\w+)=|\b(?!\w))", rule["expr"])
        assert used, rule["alert"]
        for name, label in used:
            assert name in BY_NAME, f"{rule['alert']}: there is no {name}"
            assert not label or label in BY_NAME[name].labels, f"{rule['alert']}: {name} has no {label}"
