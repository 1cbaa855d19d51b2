"""The runner of documents, on documents of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docs.runner import blocks, disagreements, exchanges

FENCE = "```"


def document(info: str, content: str) -> str:
    return f"# A title\n\ntext\n\n{FENCE}{info}\n{content}\n{FENCE}\n"


def told(markdown: str, folder: Path, **environment: str) -> list[str]:
    return list(disagreements(markdown, folder, {"PATH": os.environ["PATH"], **environment}))


def test_only_console_blocks_job_manifests_and_named_files_run() -> None:
    markdown = "".join(
        document(info, content)
        for info, content in [
            ("console", "$ true"),
            ("sh", "false"),
            ("", "nothing"),
            ("yaml", "kind: Job"),
            ("yaml", "kind: JobTemplate"),
            ("yaml file=a.yaml", "a: 1"),
        ]
    )
    assert [block.content for block in blocks(markdown)] == ["$ true\n", "kind: Job\n", "a: 1\n"]


def test_commands_go_on_over_lines_and_know_their_place() -> None:
    (block,) = blocks(document("console exit=3", "$ cat <<END\n> one\n> END\none\n> two\n$ exit 3"))
    assert [(e.command, e.line, e.output, e.status) for e in exchanges(block)] == [
        ("cat <<END\none\nEND", 6, ["one", "> two"], 0),
        ("exit 3", 11, [], 3),
    ]


def test_output_before_a_command_is_refused() -> None:
    (block,) = blocks(document("console", "lost\n$ true"))
    with pytest.raises(ValueError, match="line 6"):
        exchanges(block)


@pytest.mark.parametrize(
    "content",
    [
        "$ echo one; echo two\none\ntwo",
        "$ echo 'one    two'\none two",
        "$ echo one two three\none ... three",
        "$ seq 9\n1\n...\n9",
        "$ echo said to nobody",
        "$ echo on standard error >&2\non standard error",
        "$ echo kept >file\n$ cat file\nkept",
    ],
)
def test_what_a_document_shows_is_found(content: str, tmp_path: Path) -> None:
    assert told(document("console", content), tmp_path) == []


@pytest.mark.parametrize(
    ("info", "content", "said"),
    [
        ("console", "$ echo one\ntwo", "line 6: $ echo one\nprinted:\none\n\nbut the document shows:\ntwo"),
        ("console", "$ true\none", "but the document shows:\none"),
        ("console", "$ echo bad; exit 4", "ended with status 4, not 0, and printed:\nbad"),
        ("console exit=1", "$ true", "ended with status 0, not 1"),
    ],
)
def test_what_differs_is_told(info: str, content: str, said: str, tmp_path: Path) -> None:
    (text,) = told(document(info, content), tmp_path)
    assert said in text


def test_commands_see_the_folder_and_environment_that_they_are_given(tmp_path: Path) -> None:
    assert told(document("console", f"$ pwd; echo $PLACE\n{tmp_path}\nhere"), tmp_path, PLACE="here") == []


def test_manifests_are_linted_and_kept(tmp_path: Path) -> None:
    lint = tmp_path / "windlass"
    lint.write_text('#!/bin/sh\ntest "$1 $2 $3" = "job lint -" && ! grep wrong\n')
    lint.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    good = document("yaml file=job.yaml", "kind: Job\nname: right") + document("console", "$ cat job.yaml\n...right")
    assert told(good, tmp_path, PATH=path) == []
    (text,) = told(document("yaml", "kind: Job\nname: wrong"), tmp_path, PATH=path)
    assert "line 6: $ windlass job lint -\nended with status 1" in text


def test_a_server_runs_from_the_first_block_that_asks_for_it(tmp_path: Path) -> None:
    program = tmp_path / "windlass"
    program.write_text(
        "#!/bin/sh\n"
        "touch served; echo starting; echo ready here\n"
        "trap 'touch ended; exit' TERM\n"
        "while read -r line; do :; done < wait\n"
    )
    program.chmod(0o755)
    os.mkfifo(tmp_path / "wait")
    path = f"{tmp_path}:{os.environ['PATH']}"
    markdown = (
        document("console", "$ ls served 2>&1 || true\nls:...") + document("console up", "$ ls served\nserved") * 2
    )
    assert told(markdown, tmp_path, PATH=path) == []
    assert (tmp_path / "ended").exists()


def test_a_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    program = tmp_path / "windlass"
    program.write_text("#!/bin/sh\necho no\n")
    program.chmod(0o755)
    with pytest.raises(RuntimeError, match="before it was ready"):
        told(document("console up", "$ true"), tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
