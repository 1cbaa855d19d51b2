"""Programs that read an argument, or their input, as code, and programs that start others: what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from windlass.model.injection.words import names, without_version

#: Shells that read `"${NAME}"` as POSIX says.
POSIX_SHELLS: Final = names("sh bash dash ash rbash ksh ksh93 rksh lksh mksh pdksh oksh posh zsh yash")
SHELLS: Final = POSIX_SHELLS | names("fish csh tcsh rc es elvish nu xonsh")
POWERSHELLS: Final = frozenset({"powershell", "pwsh"})

#: Options after which many programs take code.
CODE_OPTIONS: Final = names("-c -e -E -p -r -ec -lc -ic -xc -euc -exc -Command -command /c /C /k --eval")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A program that runs code from its arguments."""

    #: Letters of short options whose argument is code.
    code: str = ""
    #: Long options, with their dashes, whose argument is code.
    long_code: frozenset[str] = frozenset()
    #: Letters of short options with an argument that is no code.
    takes: str = ""
    #: Whether the first operand is code rather than a file.
    first_operand_is_code: bool = False


_EVAL: Final = names("--eval --print")
_INTERPRETERS: Final[Mapping[str, Interpreter]] = {
    **dict.fromkeys(("python", "pypy"), Interpreter(code="c", takes="mWX")),
    "perl": Interpreter(code="eE", takes="ICMmx"),
    "ruby": Interpreter(code="e", takes="rICxEF"),
    **dict.fromkeys(("node", "nodejs", "bun"), Interpreter(code="ep", long_code=_EVAL, takes="rC")),
    "php": Interpreter(code="rBRE", takes="dcz"),
    **dict.fromkeys(("lua", "luajit"), Interpreter(code="ej", takes="l")),
    **dict.fromkeys(("R", "Rscript", "groovy", "scala"), Interpreter(code="e", takes="fg")),
    "julia": Interpreter(code="eE", long_code=_EVAL, takes="LJpt"),
    "elixir": Interpreter(code="e", long_code=_EVAL, takes="rS"),
    "erl": Interpreter(long_code=names("-eval")),
    "osascript": Interpreter(code="e", takes="l"),
    **dict.fromkeys(("expect", "guile", "tclsh", "wish"), Interpreter(code="c")),
    "sbcl": Interpreter(long_code=_EVAL),
    "emacs": Interpreter(long_code=names("--eval --execute"), takes="lf"),
    "gdb": Interpreter(long_code=names("-ex -iex --eval-command --init-eval-command"), takes="x"),
    **dict.fromkeys(("awk", "mawk", "nawk", "original-awk"), Interpreter(takes="vF", first_operand_is_code=True)),
    "gawk": Interpreter(code="e", long_code=names("--source"), takes="vF", first_operand_is_code=True),
}


def interpreter(name: str) -> Interpreter | None:
    """Return what is known of the interpreter `name`, which may end in a version; None where it is none."""
    return _INTERPRETERS.get(name) or _INTERPRETERS.get(without_version(name))


#: Programs of which every argument can be, or become, a command line; with the way that happens.
ALL_ARGUMENTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(names("ssh slogin rsh mosh autossh sshpass"), "which a remote shell reads as a command line"),
    **dict.fromkeys(names("su runuser watch script tmux screen wsl"), "which gives it to a shell"),
    **dict.fromkeys(names("xargs parallel entr"), "which puts it into other command lines"),
    **dict.fromkeys(names("vi vim nvim ex ed dc socat osqueryi"), "which reads commands from its arguments"),
    **dict.fromkeys(names("make gmake"), "which expands $(shell ...) in its arguments"),
    "cmd": "which reads its arguments as one command line",
    "crontab": "which installs commands",
}
#: Programs that take commands from their standard input, besides shells and interpreters.
READS_COMMANDS: Final = names("at batch source . eval bc ftp sftp crontab")
#: Programs that start what their arguments name, often elsewhere and in ways of their own.
CARRIERS: Final = names("""
    docker podman nerdctl kubectl oc lxc incus crictl ctr nomad machinectl systemd-nspawn firejail bwrap proot fakeroot
    apptainer singularity srun mpirun mpiexec conda mamba poetry pipenv uv npx bundle rbenv pyenv direnv vagrant heroku
    flyctl gcloud salt pssh ansible
""")
#: SQL clients, and their options for SQL.
SQL_CLIENTS: Final = names("psql mysql mariadb sqlite3 sqlcmd mongosh")
SQL_OPTIONS: Final = names("-c -e -q -Q --command --execute --eval -cmd")
#: Programs whose first operand is a program in their own language: a value inside it is not safe there, but no shell
#: reads it.
LANGUAGES: Final[Mapping[str, str]] = {"sed": "sed", "gsed": "sed", "jq": "jq", "gojq": "jq", "yq": "yq"}

#: Options, by program, whose argument is a command line.
COMMAND_OPTIONS: Final[Mapping[str, frozenset[str]]] = {
    "rsync": names("-e --rsh --rsync-path"),
    "scp": names("-o -S -F"),
    "sftp": names("-o -S -F -D"),
    "tar": names("-I -F --to-command --checkpoint-action --use-compress-program --rsh-command --info-script"),
    "sort": names("--compress-program"),
    "split": names("--filter"),
    "man": names("-P --pager"),
    "wget": names("--use-askpass"),
    "nc": names("-e -c"),
    "ncat": names("-e -c --exec --sh-exec --lua-exec"),
    "tcpdump": names("-z --postrotate-command"),
    "sqlite3": names("-cmd -init"),
    "zip": names("-TT --unzip-command"),
    "git": names("--upload-pack --receive-pack --exec --exec-path -u"),
}
#: Programs to which one argument that looks like an option is enough to run a command, with the letters of their
#: options whose argument is just a name.
GUARDED: Final[Mapping[str, str]] = {
    "rsync": "",
    "scp": "iPl",
    "sftp": "iPl",
    "tar": "fCTX",
    "wget": "OPU",
    "zip": "",
    "git": "C",
}
#: Commands of git that talk to another repository, by a program that an option names.
GIT_TRANSPORT: Final = names("clone fetch pull push ls-remote archive submodule remote")
#: Programs that hand the part of an argument behind the colon to a remote shell.
REMOTE_PATHS: Final = names("rsync scp")


def runs_code(name: str) -> bool:
    """Say whether a program of this name reads some of its arguments as code."""
    return name in ALL_ARGUMENTS or name in SHELLS or name in POWERSHELLS or interpreter(name) is not None


@dataclass(frozen=True, slots=True)
class Starter:
    """A program whose operands are the command that it starts."""

    #: Options, with dashes, whose argument is the next word.
    takes: frozenset[str] = frozenset()
    #: Words between its options and the command.
    operands: int = 0
    #: Whether `NAME=value` words come before the command.
    assigns: bool = False
    #: Options whose argument a shell reads.
    code: frozenset[str] = frozenset()
    #: Whether the command gets the same environment.
    keeps_env: bool = True


_SUDO: Final = "-u -g -p -C -h -r -t -T -U -D -R --user --group --prompt --host --role --type --chdir --chroot"
_RUN: Final = "-u -p -E --unit --property --setenv --slice --uid --gid"
STARTERS: Final[Mapping[str, Starter]] = {
    "env": Starter(takes=names("-u --unset -C --chdir"), assigns=True, code=names("-S --split-string")),
    "nice": Starter(takes=names("-n --adjustment")),
    "timeout": Starter(takes=names("-k --kill-after -s --signal"), operands=1),
    "stdbuf": Starter(takes=names("-i -o -e --input --output --error")),
    "ionice": Starter(takes=names("-c -n -p -P -u --class --classdata")),
    "chrt": Starter(takes=names("-T -P -D"), operands=1),
    "time": Starter(takes=names("-f -o --format --output")),
    "strace": Starter(takes=names("-e -o -p -s -u -E -a -b -I -O -P -S -X")),
    "ltrace": Starter(takes=names("-e -o -p -s -u -a -n -l")),
    "tini": Starter(takes=names("-e -p")),
    "dumb-init": Starter(takes=names("-r")),
    "caffeinate": Starter(takes=names("-t -w")),
    "prlimit": Starter(takes=names("-p --pid -o --output")),
    "flock": Starter(takes=names("-w --timeout -E --conflict-exit-code"), operands=1, code=names("-c --command")),
    "sudo": Starter(takes=names(_SUDO), assigns=True, keeps_env=False),
    "doas": Starter(takes=names("-u -C -a"), keeps_env=False),
    "setpriv": Starter(takes=names("--ambient-caps --inh-caps --bounding-set --reuid --regid --groups --securebits")),
    "chpst": Starter(takes=names("-u -U -e -/ -n -l -L -m -d -o -p -f -c -t")),
    "unshare": Starter(takes=names("-S -G --setuid --setgid --map-user --map-group --root --wd")),
    "nsenter": Starter(takes=names("-t --target -S -G --setuid --setgid")),
    "systemd-run": Starter(takes=names(_RUN), keeps_env=False),
    "xvfb-run": Starter(takes=names("-n -s -f -e -w")),
    "exec": Starter(takes=names("-a")),
    **dict.fromkeys(names("taskset chroot gosu su-exec setuidgid"), Starter(operands=1)),
    **dict.fromkeys(
        names("nohup setsid catchsegv unbuffer busybox toybox systemd-inhibit dbus-run-session"), Starter()
    ),
    **dict.fromkeys(names("command builtin nocorrect noglob"), Starter()),
}
