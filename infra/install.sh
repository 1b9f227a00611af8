#!/bin/sh
# See usage.
set -eu

VERSION=
FROM=
PREFIX=${HOME:+$HOME/.local}
UNINSTALL=

# Not read from this file: the shell may read it from a pipe.
usage() {
    cat <<'END'
Installs the command `unthrottle` of one release for this user, after a check of its SHA-256 sum.

  sh install.sh [--from FOLDER_OR_URL] [--prefix FOLDER] [--version VERSION]
  sh install.sh --uninstall [--prefix FOLDER]

The default of --prefix is ~/.local. A release's own install.sh knows its version and its URL.
END
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

needs_value() {
    [ $# -ge 2 ] && [ -n "$2" ] || fail "$1 needs a value"
}

while [ $# -gt 0 ]; do
    case $1 in
        --from) needs_value "$@"; FROM=$2; shift 2 ;;
        --prefix) needs_value "$@"; PREFIX=$2; shift 2 ;;
        --version) needs_value "$@"; VERSION=${2#v}; shift 2 ;;
        --uninstall) UNINSTALL=yes; shift ;;
        -h | --help) usage; exit 0 ;;
        *) fail "unknown option $1. The options are --from, --prefix, --version, --uninstall" ;;
    esac
done

[ -n "$PREFIX" ] || fail "HOME is not set. Give --prefix with the folder to install to"
# PATH needs the whole path.
case $PREFIX in
    /*) ;;
    *) PREFIX=$(pwd)/$PREFIX ;;
esac

BASH_COMPLETION=$PREFIX/share/bash-completion/completions/unthrottle
ZSH_COMPLETION=$PREFIX/share/zsh/site-functions/_unthrottle
FISH_COMPLETION=$PREFIX/share/fish/vendor_completions.d/unthrottle.fish
MAN=$PREFIX/share/man/man1

# `mv` would put the command into the folder, and `rm -f` fails at it.
[ ! -d "$PREFIX/bin/unthrottle" ] || fail "$PREFIX/bin/unthrottle is a folder. Remove it, or give another --prefix"

if [ -n "$UNINSTALL" ]; then
    [ -e "$PREFIX/bin/unthrottle" ] || [ -L "$PREFIX/bin/unthrottle" ] || [ -e "$MAN/unthrottle.1" ] ||
        fail "there is no unthrottle in $PREFIX. Give the --prefix that it was installed to"
    rm -f "$PREFIX/bin/unthrottle" "$BASH_COMPLETION" "$ZSH_COMPLETION" "$FISH_COMPLETION" \
        "$MAN/unthrottle.1" "$MAN"/unthrottle-*.1
    echo "removed unthrottle from $PREFIX"
    exit 0
fi

[ -n "$VERSION" ] || fail "which release? Use the install.sh of a release, or give --version"
[ -n "$FROM" ] || fail "from where? Give --from with the URL or the folder that has SHA256SUMS"

case $(uname -s)-$(uname -m) in
    Linux-x86_64 | Linux-amd64) TARGET=x86_64-unknown-linux-gnu ;;
    Linux-aarch64 | Linux-arm64) TARGET=aarch64-unknown-linux-gnu ;;
    Darwin-x86_64) TARGET=x86_64-apple-darwin ;;
    Darwin-arm64) TARGET=aarch64-apple-darwin ;;
    *) fail "there is no archive for $(uname -s) on $(uname -m). With Rust: cargo install --path crates/cli" ;;
esac
NAME=unthrottle-$VERSION-$TARGET

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 1' HUP INT TERM

get() {
    case $FROM in
        http://* | https://*)
            if command -v curl >/dev/null; then
                curl -fsSL --retry 3 -o "$WORK/$1" "$FROM/$1"
            elif command -v wget >/dev/null; then
                wget -q -O "$WORK/$1" "$FROM/$1"
            else
                fail "neither curl nor wget is installed"
            fi ;;
        *) cp "$FROM/$1" "$WORK/$1" ;;
    esac || fail "cannot get $1 from $FROM"
}

get SHA256SUMS
grep "  $NAME.tar.gz\$" "$WORK/SHA256SUMS" >"$WORK/sum" || fail "the release at $FROM has no $NAME.tar.gz"
get "$NAME.tar.gz"
if command -v sha256sum >/dev/null; then
    check="sha256sum -c"
elif command -v shasum >/dev/null; then
    check="shasum -a 256 -c"
else
    fail "neither sha256sum nor shasum is installed, so the archive cannot be checked"
fi
(cd "$WORK" && $check sum >/dev/null 2>&1) ||
    fail "$NAME.tar.gz does not have the SHA-256 sum of SHA256SUMS. Nothing was installed"

tar -xzf "$WORK/$NAME.tar.gz" -C "$WORK"
put() {
    mkdir -p "$(dirname "$3")"
    # A rename replaces a running program in one step.
    cp "$WORK/$NAME/$2" "$3.new"
    chmod "$1" "$3.new"
    mv -f "$3.new" "$3"
}
# Where it will run: the folder for temporary files may forbid programs.
mkdir -p "$PREFIX/bin"
cp "$WORK/$NAME/unthrottle" "$PREFIX/bin/unthrottle.new"
chmod 755 "$PREFIX/bin/unthrottle.new"
RUNS=$("$PREFIX/bin/unthrottle.new" --version 2>&1) || {
    rm -f "$PREFIX/bin/unthrottle.new"
    fail "the program does not run here: $RUNS. On Linux it needs glibc 2.17 or newer, which Alpine does not have." \
        "Nothing was installed"
}
mv -f "$PREFIX/bin/unthrottle.new" "$PREFIX/bin/unthrottle"
put 644 completions/unthrottle.bash "$BASH_COMPLETION"
put 644 completions/_unthrottle "$ZSH_COMPLETION"
put 644 completions/unthrottle.fish "$FISH_COMPLETION"
for page in "$WORK/$NAME"/man/*.1; do
    put 644 "man/$(basename "$page")" "$MAN/$(basename "$page")"
done

echo "installed $(echo "$RUNS" | head -n 1) to $PREFIX/bin/unthrottle"
case :$PATH: in
    *":$PREFIX/bin:"*) ;;
    *) echo "$PREFIX/bin is not in PATH. Add this line to the profile of your shell:"
       echo "  export PATH=\"$PREFIX/bin:\$PATH\"" ;;
esac
