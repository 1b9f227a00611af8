#!/bin/sh
# Builds the release of the current commit twice, in two folders, and compares the sums. It takes many minutes.
set -eu
ROOT=$(cd "$(dirname "$0")/.." && pwd)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM
for folder in one another-folder; do
    git clone --quiet "$ROOT" "$WORK/$folder"
    make -C "$WORK/$folder" dist >"$WORK/$folder.log" 2>&1 || { cat "$WORK/$folder.log"; exit 1; }
done
if diff "$WORK/one/target/dist/SHA256SUMS" "$WORK/another-folder/target/dist/SHA256SUMS"; then
    echo "both builds have the same sums:"
    cat "$WORK/one/target/dist/SHA256SUMS"
else
    echo "the two builds differ" >&2
    exit 1
fi
