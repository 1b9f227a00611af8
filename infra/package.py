"""Builds the function's package for each architecture that the local toolchain supports.

The same sources and the same toolchain give the same bytes. Compare the printed SHA-256 sums to check that a deployed
package was built from the sources that you read.
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
        sys.exit("no package was built")


def has_target(target):
    """Whether Rust's standard library for `target` is installed. If it is missing, rustup installs it."""
    ask = ["rustc", "--print", "target-libdir", "--target", target]
    library = subprocess.run(ask, capture_output=True, text=True, cwd=ROOT)
    if library.returncode == 0 and any(pathlib.Path(library.stdout.strip()).glob("libstd-*.rlib")):
        return True
    try:
        added = subprocess.run(["rustup", "target", "add", target], capture_output=True, text=True, cwd=ROOT)
        why = added.stderr.strip().splitlines()[-1:] if added.returncode else []
        if added.returncode == 0:
            return True
    except FileNotFoundError:
        why = ["there is no rustup"]
    reason = "".join(why) or "rustup could not add it"
    print(f"{target}: not built, because Rust's standard library for it is missing ({reason})", file=sys.stderr)
    return False


def command(target):
    """The build of the root package alone, as `sam build` does it."""
    return ["cargo", "lambda", "build", "--release", "--locked", "--bin", "bootstrap", "--target", target]


def flags():
    """The compiler's flags that keep the paths of this machine out of the binary."""
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
    """A zip of this executable, without a time of the build and without the user's name."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as package:
        entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
        entry.create_system = 3  # Unix. Otherwise unzip ignores the mode.
        entry.external_attr = 0o100755 << 16
        package.writestr(entry, bootstrap, zipfile.ZIP_DEFLATED, compresslevel=9)
    return packed.getvalue()


if __name__ == "__main__":
    main()
