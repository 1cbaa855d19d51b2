"""Step types that use a tool or service: Ansible and HTTP."""

from __future__ import annotations

from windlass.model.steptype import StepSpec
from windlass.model.steptypes import fragment as f

ANSIBLE_PLAYBOOK = StepSpec(
    name="ansible.playbook",
    summary="Run an Ansible playbook, with an event for each of its tasks.",
    schema=f.config(
        {
            "playbook": {
                "type": ["string", "array"],
                "minLength": 1,
                "description": "path of a playbook, or its plays inline",
            },
            "inventory": {
                "type": ["string", "array"],
                "items": {"type": "string"},
                "description": "`targets`, hosts, or the path of an inventory file",
            },
            "variables": {"type": "object", "description": "extra variables"},
            "tags": {**f.TEXTS, "description": "only what carries one of these tags"},
            "limit": {**f.TEXT, "description": "only these hosts"},
            "check": {**f.BOOLEAN, "default": False, "description": "change nothing, only say what would change"},
        },
        required=("playbook",),
    ),
    in_force=False,
)

HTTP_REQUEST = StepSpec(
    name="http.request",
    summary="Send an HTTP request and judge its answer.",
    schema=f.config(
        {
            "method": {"enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], "default": "GET"},
            "url": {**f.TEXT, "description": "http or https address"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "body": {"description": "text as it is, anything else as JSON"},
            "expected_status": {
                "type": ["integer", "array"],
                "items": {"type": "integer", "minimum": 100, "maximum": 599},
                "description": "what counts as success; any 2xx unless said",
            },
            "extract": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "outputs by name: JSON paths into the answer",
            },
            "timeout": {**f.DURATION, "description": "seconds the answer may take"},
        },
        required=("url",),
    ),
    in_force=False,
)

SPECS = (ANSIBLE_PLAYBOOK, HTTP_REQUEST)
