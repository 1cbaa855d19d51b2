"""`windlass maintenance off`."""

from __future__ import annotations

from windlass.cli.command import make
from windlass.cli.session import Session


@make(name="off", examples="windlass maintenance off")
def command(session: Session) -> None:
    """Start tasks again."""
    with session.connect() as client:
        said = client.call("PUT", ("maintenance",), body={"on": False})
    session.out.done("Maintenance is off.")
    if session.out.format != "table":
        session.out.value(said, tuple)
