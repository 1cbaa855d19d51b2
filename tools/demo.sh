#!/usr/bin/env bash
# Shows Windlass at work in a folder of its own, which it removes at the end: a job here and now, then a server.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
WINDLASS_HOME=$(mktemp -d)
export PATH WINDLASS_HOME
server=
end() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null && wait "$server" || true; fi
    rm -rf "$WINDLASS_HOME"
}
trap end EXIT

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

echo "A job is a file. This one has four steps:"
show cat examples/orders.yaml
show windlass job lint examples/orders.yaml
echo
echo "Run it here and now, without a server:"
show windlass exec examples/orders.yaml -p region=us

echo
echo "With a server, jobs are stored, and runs queued, kept and followed:"
printf '\n$ windlass up &\n'
mkfifo "$WINDLASS_HOME/said"
windlass up >"$WINDLASS_HOME/said" 2>&1 &
server=$!
exec 3<"$WINDLASS_HOME/said"
ready=
while [ -z "$ready" ] && read -r line <&3; do
    echo "$line"
    case $line in ready*) ready=yes ;; esac
done
[ -n "$ready" ] || { echo "demo: the server did not start" >&2; exit 1; }
cat <&3 >/dev/null &
show windlass job apply examples/orders.yaml
show windlass job graph orders
show windlass run start orders --wait
show windlass run list
echo
echo "That was it; everything is removed again. Next: .venv/bin/windlass --help"
