"""`windlass job schema`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.session import Session

_EXAMPLES = """
windlass job schema > windlass.schema.json
"""


@make(name="schema", examples=_EXAMPLES)
@click.option("--markdown", is_flag=True, help="Print the reference of all fields as Markdown instead.")
def command(session: Session, *, markdown: bool) -> None:
    """Print the JSON Schema of manifests, for editors. Needs no server and no store."""
    if markdown:
        from windlass.model.manifest.reference import schema_markdown  # noqa: PLC0415 - few ask for it

        session.out.write(schema_markdown(session.program.catalog()))
        return
    from windlass.model.manifest.schema import job_schema  # noqa: PLC0415 - costs time

    if session.out.format == "table":
        session.out.format = "json"
    session.out.value(job_schema(session.program.catalog()), tuple)
