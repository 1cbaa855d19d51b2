"""Secrets may stand only where nothing shows them."""

from __future__ import annotations

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.load import load

JOB = """
apiVersion: v1
kind: Job
metadata: {alias: sample}
parameters:
  token: {type: string, secret: true}
  regions: {type: array}
steps:
  - {name: a, run: echo, matrix: {value: "AXIS"}}
"""


def errors(axis: str) -> list[str]:
    return [finding.message for finding in load(JOB.replace("AXIS", axis), "job.yaml", StepCatalog()).errors]


def test_a_secret_in_a_matrix_is_refused() -> None:
    assert errors("${{ [parameters.token, 'x'] }}") == [
        "matrix.value would show the secret parameter token in the keys of tasks; pass it by `env`"
    ]


def test_other_parameters_may_stand_in_a_matrix() -> None:
    assert errors("${{ parameters.regions }}") == []
