"""Names of environment and shell variables whose value is acted on, so that no outside value may set them."""

from __future__ import annotations

import re
from typing import Final

from windlass.model.injection.words import names

#: What a variable may be called.
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: Names that Windlass sets itself begin so.
OURS: Final = ("WINDLASS_", "CAESIUM_")

#: Read as code, as a program's name or options, or as the place where programs and libraries are found.
_ACTED_ON: Final = names("""
    PATH IFS ENV BASH_ENV CDPATH FPATH SHELL SHELLOPTS BASHOPTS BASH_COMPAT BASH_XTRACEFD BASH_LOADABLES_PATH
    PROMPT_COMMAND PS0 PS1 PS2 PS3 PS4 PROMPT PROMPT2 PROMPT3 PROMPT4 RPS1 RPS2 RPROMPT RPROMPT2 SPROMPT
    EXECIGNORE GLOBIGNORE FIGNORE FCEDIT MODULE_PATH NULLCMD READNULLCMD STTY ZDOTDIR TMOUT
    EDITOR VISUAL PAGER MANPAGER BROWSER LESS LESSOPEN LESSCLOSE SYSTEMD_PAGER SUDO_ASKPASS SSH_ASKPASS
    PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONBREAKPOINT PYTHONINSPECT PYTHONWARNINGS PYTHONUSERBASE
    PERL5LIB PERLLIB PERL5OPT PERL5DB PERL5SHELL RUBYLIB RUBYOPT RUBYSHELL NODE_OPTIONS NODE_PATH
    LUA_INIT LUA_PATH LUA_CPATH AWKPATH AWKLIBPATH PHPRC PHP_INI_SCAN_DIR R_PROFILE
    JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS CLASSPATH MAVEN_OPTS GRADLE_OPTS ANT_OPTS
    MAKEFLAGS MAKEFILES GNUMAKEFLAGS TAR_OPTIONS RSYNC_RSH RSYNC_CONNECT_PROG CVS_RSH SVN_SSH VIMINIT EXINIT
    GIT_SSH GIT_SSH_COMMAND GIT_PROXY_COMMAND GIT_ASKPASS GIT_EDITOR GIT_SEQUENCE_EDITOR GIT_PAGER
    GIT_EXTERNAL_DIFF GIT_CONFIG GIT_CONFIG_GLOBAL GIT_CONFIG_SYSTEM GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT
    GIT_EXEC_PATH GIT_TEMPLATE_DIR GIT_DIR GIT_WORK_TREE GIT_ALLOW_PROTOCOL
    OPENSSL_CONF OPENSSL_ENGINES GCONV_PATH LOCPATH NLSPATH RESOLV_HOST_CONF HOSTALIASES
""")
_ACTED_ON_PREFIXES: Final = ("LD_", "DYLD_", "GLIBC_", "MALLOC_", "BASH_FUNC_", "GIT_CONFIG_", *OURS)

#: Numbers to some shell, which reads what is assigned to them as arithmetic, and so as code.
_NUMERIC: Final = names("""
    OPTIND RANDOM SRANDOM SECONDS LINENO HISTCMD HISTSIZE SAVEHIST COLUMNS LINES SHLVL PPID UID EUID GID EGID
    ERRNO BAUD KEYTIMEOUT LISTMAX LOGCHECK MAILCHECK TRY_BLOCK_ERROR TRY_BLOCK_INTERRUPT FUNCNEST BASHPID
    EPOCHSECONDS EPOCHREALTIME BASH_SUBSHELL BASH_ARGV0 ZSH_SUBSHELL DIRSTACKSIZE USERNAME TTYIDLE
""")
#: Of zsh alone, where the lower-case names are tied to others.
_ZSH: Final = names(
    "path fpath cdpath manpath mailpath module_path fignore psvar prompt argv status pipestatus histchars"
)


def may_not_be_set(name: str, *, in_zsh: bool = False) -> str | None:
    """Return `name` and why no outside value may be assigned to it, or None where it may."""
    if name in _ACTED_ON or name.startswith(_ACTED_ON_PREFIXES):
        return f"{name}, which decides what programs do; choose the value in the script"
    if name in _NUMERIC:
        return f"{name}, a number of the shell's own, which reads what it is set to as arithmetic; use another name"
    if in_zsh and name in _ZSH:
        return f"{name}, which has a meaning of its own in zsh; use another name"
    return None
