"""What a step says about itself while it runs: its outputs and the branches that it chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from windlass.errors import LimitExceeded, UserError
from windlass.model.did_you_mean import suggestion
from windlass.model.outcome import Failed
from windlass.model.outputs import Outputs, parse_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from windlass.model.directives import Directive

#: Warnings of one attempt; more of them would only fill the log.
_MOST_WARNINGS: Final = 20
_KNOWN: Final = ("output", "output-ref", "branch")


class Report:
    """Gathers directives; what is wrong with one becomes a warning, or a failure where data would be lost."""

    def __init__(self, choices: tuple[str, ...] = ()) -> None:
        """Take `choices` as the names that a branch may choose; none for a step that is no branch."""
        self._choices = choices
        self._outputs = Outputs()
        self._chosen: dict[str, None] = {}
        self._warnings: list[str] = []
        self._warned = 0
        #: Why the attempt must not count as completed, whatever its exit code is; the first reason found.
        self.problem: Failed | None = None

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The outputs so far."""
        return self._outputs.values

    @property
    def branches(self) -> tuple[str, ...] | None:
        """The chosen steps in the order of their choice; None where the step is no branch."""
        return tuple(self._chosen) if self._choices else None

    def take(self, directive: Directive) -> None:
        """Act on one line of output."""
        match directive.name:
            case "output":
                self._take_output(directive.payload, "an output line", too_long=directive.too_long)
            case "branch":
                self.choose(directive.payload.decode("utf-8", "replace"))
            case "output-ref":
                self.warn("`output-ref` is not acted on: name the file under `artifacts`, its path in an output")
            case name:
                text = "a directive of an unknown name is left out, known are output and branch"
                self.warn(text + suggestion(name, _KNOWN))

    def take_lines(self, text: bytes) -> None:
        """Act on the lines of an output file: a JSON object each."""
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                self._take_output(line, f"line {number} of $WINDLASS_OUTPUT", too_long=False)

    def put(self, values: Mapping[str, Any]) -> None:
        """Take outputs that are no text, such as the result of a function."""
        try:
            self._outputs.update(values)
        except LimitExceeded as error:
            self.refuse_outputs(str(error))

    def choose(self, name: str) -> None:
        """Choose the successor `name`."""
        if not self._choices:
            self.warn("a branch line is left out: this step is no branch")
        elif name in self._choices:
            self._chosen[name] = None
        elif self.problem is None:
            text = f'it chose the branch "{name[:80]}", which is none of its next steps ({", ".join(self._choices)})'
            self.problem = Failed(
                "error", text + suggestion(name, self._choices), reason="unknown_branch", may_retry=False
            )

    def refuse_outputs(self, why: str) -> None:
        """Note that outputs could not be taken: the attempt fails, for its successors would miss them."""
        if self.problem is None:
            text = f"{why}; write large data to a file and keep it with `artifacts`"
            self.problem = Failed("error", text, reason="outputs_too_large", may_retry=False)

    def warn(self, text: str) -> None:
        """Note a warning for the log; after twenty only that there were more."""
        self._warned += 1
        if self._warned <= _MOST_WARNINGS:
            self._warnings.append(text)
        elif self._warned == _MOST_WARNINGS + 1:
            self._warnings.append("further warnings about this step's output are left out")

    def drain_warnings(self) -> list[str]:
        """Return the warnings since the last call."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def _take_output(self, text: bytes, where: str, *, too_long: bool) -> None:
        if too_long:
            self.refuse_outputs(f"{where} is longer than outputs may be")
            return
        try:
            self._outputs.update(parse_outputs(text))
        except LimitExceeded as error:
            self.refuse_outputs(str(error))
        except UserError as error:
            self.warn(f"{where} is left out: {error}")
