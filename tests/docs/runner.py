"""Runs the code blocks of a document: what a reader types must do what the document shows.

- `console` blocks: lines after `$ ` are commands (`> ` goes on with one), what follows is their output, compared with
  white space levelled and `...` for anything. Output that is not shown is not compared. `exit=1` after the word
  `console` is the status the last command has to end with. From the first block with `up` on a server runs.
- `yaml` blocks with a line `kind: Job` have to pass `windlass job lint`; `file=NAME` keeps the block as a file for
  the commands below it, also one of `python`.

Commands of one document share an empty folder. A block that is not to be run is called `sh`, `text` or the like.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

#: Seconds that one command may take.
_TIMEOUT: Final = 50
_JOB = re.compile(r"^kind: *Job$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code."""

    language: str
    attributes: Mapping[str, str]
    content: str
    #: Line of the document where the content starts, from 1.
    line: int

    @property
    def runs(self) -> bool:
        """Whether anything is done with it."""
        kept = self.language in {"yaml", "python"} and self.file is not None
        return self.language == "console" or kept or (self.language == "yaml" and self.is_job)

    @property
    def is_job(self) -> bool:
        """Whether it holds a job's manifest."""
        return bool(_JOB.search(self.content))

    @property
    def file(self) -> str | None:
        """The name under which it is kept."""
        return self.attributes.get("file")


@dataclass(slots=True)
class Exchange:
    """A command and the output that the document shows for it."""

    command: str
    line: int
    output: list[str] = field(default_factory=list)
    status: int = 0


def blocks(markdown: str) -> list[Block]:
    """Return the blocks of `markdown` that run, in order."""
    found = []
    for token in MarkdownIt().parse(markdown):
        if token.type == "fence" and token.map:
            language, *attributes = token.info.split() or [""]
            pairs = dict(attribute.partition("=")[::2] for attribute in attributes)
            found.append(Block(language, pairs, token.content, token.map[0] + 2))
    return [block for block in found if block.runs]


def exchanges(block: Block) -> list[Exchange]:
    """Return the commands of a console block. Raises ValueError on output before the first one."""
    found: list[Exchange] = []
    for number, line in enumerate(block.content.splitlines(), block.line):
        if line.startswith("$ "):
            found.append(Exchange(line[2:], number))
        elif not found:
            raise ValueError(f"line {number}: a console block starts with a command after `$ `")
        elif line.startswith("> ") and not found[-1].output:
            found[-1].command += "\n" + line[2:]
        else:
            found[-1].output.append(line)
    if found:
        found[-1].status = int(block.attributes.get("exit", "0"))
    return found


def disagreements(markdown: str, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run all blocks of `markdown` in `folder` and yield one text for each that does not do what it shows."""
    with ExitStack() as end:
        served = False
        for block in blocks(markdown):
            if block.file:
                (folder / block.file).write_text(block.content)
            if block.is_job:
                lint = Exchange("windlass job lint -", block.line)
                yield from _disagreement(lint, folder, environment, block.content)
            if "up" in block.attributes and not served:
                served = True
                end.enter_context(_server(folder, environment))
            for exchange in exchanges(block) if block.language == "console" else ():
                yield from _disagreement(exchange, folder, environment)


@contextmanager
def _server(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run `windlass up` from its ready line on until the end. Raises RuntimeError where it does not get there."""
    command = ["/usr/bin/env", "windlass", "up"]
    with subprocess.Popen(
        command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            lines = iter(server.stdout or ())
            if not any(line.startswith("ready") for line in lines):
                raise RuntimeError("windlass up ended before it was ready")
            yield
        finally:
            server.terminate()
            server.communicate(timeout=_TIMEOUT)


def _disagreement(exchange: Exchange, folder: Path, environment: Mapping[str, str], stdin: str = "") -> Iterator[str]:
    done = subprocess.run(
        ["/bin/bash", "-c", exchange.command],
        input=stdin,
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    place = f"line {exchange.line}: $ {exchange.command}\n"
    if done.returncode != exchange.status:
        yield f"{place}ended with status {done.returncode}, not {exchange.status}, and printed:\n{done.stdout}"
    elif not _agree("\n".join(exchange.output), done.stdout):
        yield f"{place}printed:\n{done.stdout}\nbut the document shows:\n" + "\n".join(exchange.output)


def _agree(shown: str, printed: str) -> bool:
    return not shown.strip() or OutputChecker().check_output(
        shown.strip(), printed.strip(), ELLIPSIS | NORMALIZE_WHITESPACE
    )
