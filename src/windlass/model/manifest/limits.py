"""How large a manifest may be; every number comes from the settings."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits on one text and on each job in it; what exceeds one is refused with the number and the limit."""

    #: Bytes of one text.
    document_bytes: int = 8 * MIB
    #: Bytes of the canonical content of one job, with the defaults put into every step.
    canonical_bytes: int = 32 * MIB
    #: Mappings and lists inside each other.
    depth: int = 64
    #: Times that aliases are replaced by what they stand for, those inside of replaced ones counted again.
    aliases: int = 100
    #: Values in one text, those that aliases repeat counted again.
    nodes: int = 1_000_000
    steps: int = 20_000
    edges: int = 200_000
    #: Tasks of one step: cells of its matrix.
    fan_out: int = 20_000
    #: Bytes of a run's parameters as JSON.
    parameter_bytes: int = 256 * 1024
    #: Errors in one document after which checking stops; as many warnings are told.
    findings: int = 200
    #: Longest timeout of one attempt, in seconds.
    max_timeout: float = 24 * 3600
