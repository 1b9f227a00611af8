"""Builds the function's package for each architecture that the toolchain here can build for.

Same sources, same toolchain: same bytes. So the sums that it prints tell whether what is deployed is what was read.
"""

import hashlib
import io
import os
import pathlib
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).parents[1]
TARGETS = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}


def main():
    wanted = sys.argv[1:] or list(TARGETS)
    if unknown := set(wanted) - set(TARGETS):
        sys.exit(f"not an architecture of Lambda: {', '.join(sorted(unknown))} (use {' or '.join(TARGETS)})")
    built = [build(architecture) for architecture in wanted if has_target(TARGETS[architecture])]
    if not built:
        sys.exit("nothing was built")


def has_target(target):
    """Whether Rust's own library is there for `target`. rustup is asked for what is missing."""
    library = subprocess.run(["rustc", "--print", "target-libdir", "--target", target], capture_output=True, text=True, cwd=ROOT)
    if library.returncode == 0 and any(pathlib.Path(library.stdout.strip()).glob("libstd-*.rlib")):
        return True
    try:
        added = subprocess.run(["rustup", "target", "add", target], capture_output=True, text=True, cwd=ROOT)
        why = added.stderr.strip().splitlines()[-1:] if added.returncode else []
        if added.returncode == 0:
            return True
    except FileNotFoundError:
        why = ["there is no rustup"]
    print(f"{target}: left out, Rust's library for it is not here ({''.join(why) or 'rustup could not add it'})", file=sys.stderr)
    return False


def command(target):
    return ["cargo", "lambda", "build", "--release", "--locked", "--no-default-features", "--bin", "bootstrap", "--target", target]


def flags():
    """For the compiler: where the sources lie is not to be seen in what they become."""
    cargo_home = os.environ.get("CARGO_HOME", str(pathlib.Path.home() / ".cargo"))
    return [f"--remap-path-prefix={ROOT}=.", f"--remap-path-prefix={cargo_home}=cargo"]


def build(architecture):
    environment = os.environ | {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags())}
    subprocess.run(command(TARGETS[architecture]), cwd=ROOT, env=environment, check=True)
    out = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "lambda"
    package = out / f"unthrottle-{architecture}.zip"
    package.write_bytes(zipped((out / "bootstrap" / "bootstrap").read_bytes()))
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    print(f"{package}  {package.stat().st_size / 1e6:.2f} MB  sha256 {digest}")
    return package


def zipped(bootstrap):
    """A zip of this one executable, with nothing in it of when or by whom it was made."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
        entry.create_system = 3  # Unix, so that the mode counts
        entry.external_attr = 0o100755 << 16
        package.writestr(entry, bootstrap, zipfile.ZIP_DEFLATED, compresslevel=9)
    return packed.getvalue()


if __name__ == "__main__":
    main()
