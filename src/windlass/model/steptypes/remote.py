"""Step types that work on other machines: SSH, SFTP, WinRM."""

from __future__ import annotations

from windlass.model.steptype import StepSpec
from windlass.model.steptypes import fragment as f

_COPY = {
    "source": {**f.TEXT, "description": "path to copy from"},
    "destination": {**f.TEXT, "description": "path to copy to"},
    "direction": {"enum": ["upload", "download"], "default": "upload"},
    "timeout": {**f.DURATION, "description": "seconds the copy may take"},
}
_EXEC = {
    "working_directory": f.TEXT,
    "environment": f.ENVIRONMENT,
    "timeout": {**f.DURATION, "description": "seconds the command may take on one target"},
}
_TRANSFER = {
    "local_path": {**f.TEXT, "description": "path on the worker, from the step's own folder"},
    "remote_path": {**f.TEXT, "description": "path on the target"},
    "create_directories": {**f.BOOLEAN, "default": False},
    "preserve_permissions": {**f.BOOLEAN, "default": False},
    "recursive": {**f.BOOLEAN, "default": False},
    "timeout": {**f.DURATION, "description": "seconds the transfer may take"},
}

SSH_EXEC = StepSpec(
    name="ssh.exec",
    summary="Run a command on each target over SSH.",
    schema=f.config(
        {
            "command": {**f.COMMAND, "description": "arguments, or a script for sh"},
            **_EXEC,
        },
        required=("command",),
    ),
    places={"command": "sh", "command.*": "argv", "environment.*": "env"},
    in_force=False,
)
SSH_COPY = StepSpec(
    name="ssh.copy",
    summary="Copy files to or from each target over SSH.",
    schema=f.config(
        {
            **_COPY,
        },
        required=("source", "destination"),
    ),
    in_force=False,
)
SFTP_UPLOAD = StepSpec(
    name="sftp.upload",
    summary="Upload files to each target, resumed after a cut.",
    schema=f.config(
        {
            **_TRANSFER,
        },
        required=("local_path", "remote_path"),
    ),
    in_force=False,
)
SFTP_DOWNLOAD = StepSpec(
    name="sftp.download",
    summary="Download files from each target, resumed after a cut.",
    schema=f.config(
        {
            **_TRANSFER,
        },
        required=("local_path", "remote_path"),
    ),
    in_force=False,
)
SFTP_SYNC = StepSpec(
    name="sftp.sync",
    summary="Make a folder on each target equal to one of the worker, or the other way round.",
    schema=f.config(
        {
            **_TRANSFER,
            "direction": {"enum": ["upload", "download"], "default": "upload"},
            "delete": {**f.BOOLEAN, "default": False, "description": "remove what the source does not have"},
            "exclude": {**f.TEXTS, "description": "globs of what is left out"},
        },
        required=("local_path", "remote_path"),
    ),
    in_force=False,
)
WINRM_EXEC = StepSpec(
    name="winrm.exec",
    summary="Run a command on each target over WinRM.",
    schema=f.config(
        {
            "command": {**f.COMMAND, "description": "arguments, or a script for the shell"},
            "shell": {"enum": ["powershell", "cmd"], "default": "powershell"},
            **_EXEC,
        },
        required=("command",),
    ),
    places={"command": "powershell", "command.*": "argv", "environment.*": "env"},
    in_force=False,
)
WINRM_COPY = StepSpec(
    name="winrm.copy",
    summary="Copy files to or from each target over WinRM.",
    schema=f.config(
        {
            **_COPY,
        },
        required=("source", "destination"),
    ),
    in_force=False,
)

SPECS = (SSH_EXEC, SSH_COPY, SFTP_UPLOAD, SFTP_DOWNLOAD, SFTP_SYNC, WINRM_EXEC, WINRM_COPY)
