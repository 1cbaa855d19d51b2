"""`windlass event send`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.parameters import parameter_options, parameters_of
from windlass.cli.session import Session

_EXAMPLES = """
windlass event send deploy.done -p env=prod -p version=1.4.2
windlass event send report.ready --source warehouse --params report.json
"""


@make(name="send", examples=_EXAMPLES)
@click.argument("name", metavar="TYPE")
@parameter_options
@click.option("--source", default="", help="Where the event comes from; steps may wait for one source alone.")
def command(session: Session, *, name: str, source: str, param: tuple[str, ...], params: tuple[str, ...]) -> None:
    """Tell that something happened: steps of type wait that wait for such an event go on.

    Parameters are what the event says; those of -p are texts, those of a file what they are there.
    """
    said = parameters_of(param, params)
    body = {"type": name, "source": source, "data": said.get("parameters", {}) | said["parameterTexts"]}
    with session.connect() as client:
        event = client.post("events", body=body, project=session.project)
    told = f"Event {event['type']} is told in project {event['project']}."
    session.out.value(event, lambda: [str(event["seq"]) if session.out.quiet else told])
