#!/usr/bin/env bash
# Runs `make test` several times in a row while four busy loops take the processor. Stops at the first failure.
#
# usage: [TARGET=check] tests/under_load.sh [RUNS]    (RUNS is 3 unless given; TARGET is a target of the Makefile)
set -euo pipefail

runs=${1:-3}
target=${TARGET:-test}
if ! [[ $# -le 1 && $runs =~ ^[1-9][0-9]{0,2}$ ]]; then
    echo "usage: [TARGET=check] tests/under_load.sh [RUNS]    (RUNS is a number from 1 to 999)" >&2
    exit 2
fi
cd "$(dirname "$0")/.."

# Each job gets a process group of its own, so that one signal ends `make` and all that it started.
set -m
loops=()
running=

stop() {
    trap - EXIT
    if [ -n "$running" ]; then kill -TERM -- "-$running" 2>/dev/null || true; fi
    kill -KILL "${loops[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
}
trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

for _ in 1 2 3 4; do
    # Asks after this script now and then: no trap runs when the script is killed.
    (while kill -0 $$; do for ((i = 0; i < 100000; i++)); do :; done; done) 2>/dev/null &
    loops+=($!)
done

for ((run = 1; run <= runs; run++)); do
    started=$SECONDS
    make --no-print-directory "$target" </dev/null &
    running=$!
    code=0
    wait "$running" || code=$?
    running=
    if [ $code -ne 0 ]; then
        echo "under load: make $target, run $run of $runs: failed after $((SECONDS - started)) s" >&2
        exit 1
    fi
    echo "under load: make $target, run $run of $runs: passed in $((SECONDS - started)) s"
done
