#!/usr/bin/env bash
# Shows Windlass at work on its own code: a job here and now, then a server, which is killed and comes back.
# Everything is kept in build/demo, or the folder that is the first argument, so that one can look around afterwards;
# another demo goes on from there.
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-build/demo}
mkdir -p "$out"
kept=$(cd "$out" && pwd)
export PATH="$PWD/.venv/bin:$PATH" WINDLASS_HOME="$kept/home"
unset WINDLASS_URL WINDLASS_DATABASE_URL WINDLASS_PROJECT

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; fi
tell() { printf '\n%s\n' "$*"; }
show() {
    printf '\n%s$ %s%s\n' "$bold" "$*" "$plain"
    "$@"
}

server=
end() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
}
trap end EXIT
serve() {
    printf '\n%s$ windlass up &%s\n' "$bold" "$plain"
    rm -f "$out/up.log"
    windlass up >"$out/up.log" 2>&1 &
    server=$!
    until grep -s '^ready' "$out/up.log"; do
        if ! kill -0 "$server" 2>/dev/null; then
            cat "$out/up.log" >&2
            exit 1
        fi
        sleep 0.1
    done
}
newest() { windlass run list --limit 1 --json | sed -n 's/^ *"id": "\(.*\)",$/\1/p' | head -n 1; }

job=examples/code-atlas/atlas.yaml
tell "A job is a file: steps, what they wait for, what happens when one fails.
This one draws an atlas of a code base, here that of Windlass itself. First
it is checked:"
show windlass job lint "$job"

tell "Then it runs, here and now, without a server. One step needs a second
attempt, and one is expected to fail, which the job allows:"
show windlass exec "$job" -p out="$kept"
atlas=$(newest)

tell "What a step printed is kept with the run, and so are files:"
show windlass run logs "$atlas" --step report
show windlass run artifacts "$atlas"
show windlass run artifacts "$atlas" code-atlas.html --output "$out/code-atlas.html"

tell "With a server, jobs are stored, and runs queued and followed. Two small
jobs are stored, and one of them is run:"
serve
show windlass job apply examples/orders.yaml examples/worker-lost.yaml
show windlass job graph orders
show windlass run start orders -p region=us --wait

tell "What was accepted is on disk. Here the server is killed in the middle of
a step, and started again; that step says that it may run a second time:"
show windlass run start worker-lost
lost=$(newest)
printf '\n%s$ kill -9 %s%s\n' "$bold" "$server" "$plain"
kill -9 "$server"
wait "$server" 2>/dev/null || true
serve
show windlass run watch "$lost"
show windlass run logs "$lost"
show windlass run list --limit 5

tell "That was it. Where to look next:

  the atlas in your browser   $out/code-atlas.html
  what ran                    export PATH=\$PWD/.venv/bin:\$PATH WINDLASS_HOME=$kept/home
                              windlass run get ${atlas:0:13}
                              windlass run logs ${atlas:0:13} --step strict
  the job                     $job
  a small job for everything  examples/
  a tour in five minutes      README.md"
