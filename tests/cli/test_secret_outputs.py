"""Outputs that held a secret: what later steps get of them, and that it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.fixtures.program import Answer

MANIFEST = """
apiVersion: v1
kind: Job
metadata: {alias: hand-on}
parameters: {code: {type: string, secret: true, required: true}}
steps:
  - name: tell
    run: |
      echo "##windlass::output {\\"code\\": \\"$CODE\\"}"
    env: {CODE: "${{ parameters.code }}"}
  - {name: hear, run: 'echo "heard <$WINDLASS_OUTPUT_TELL_CODE>"'}
"""


def test_a_masked_output_is_said_to_be_masked(windlass: Callable[..., Answer], tmp_path: Path) -> None:
    file = tmp_path / "hand-on.yaml"
    file.write_text(MANIFEST)
    answer = windlass("exec", file, "-p", "code=open-sesame")
    told = answer.stdout + answer.stderr
    assert answer.code == 0
    assert "heard <***>" in told
    assert "outputs of this step held a secret" in told
    assert "open-sesame" not in told
