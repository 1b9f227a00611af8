"""Makes the files of a release in target/dist: archives of the command, the function's packages, install.sh, a list of
all dependencies (SBOM, in CycloneDX's format), and SHA256SUMS.

On Linux it makes the command and the package for both architectures of Linux, and fails if it cannot make one. On macOS
and Windows it makes the command for the host alone, because only the host has the system's libraries. `--only-host`
makes the files of the host alone on Linux, too, which is no release. The same sources, toolchain and commit give the same bytes:
`infra/reproduce.sh` builds twice, in two folders, and compares the sums.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import uuid

import package

ROOT = package.ROOT
# The oldest glibc that the command runs with: the one of Amazon Linux 2 is 2.26, and Rust itself needs 2.17.
GLIBC = "2.17"
SHELLS = {"bash": "unthrottle.bash", "zsh": "_unthrottle", "fish": "unthrottle.fish"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="?", choices=["make", "sums", "notes", "version"], default="make")
    parser.add_argument("--out", type=pathlib.Path, default=target_folder() / "dist", help="default: target/dist")
    parser.add_argument("--only-host", action="store_true", help="for this machine's architecture alone: no release")
    args = parser.parse_args()
    if args.what == "version":
        print(version())
    elif args.what == "notes":
        print(notes(version()))
    else:
        if args.what == "make":
            shutil.rmtree(args.out, ignore_errors=True)
            args.out.mkdir(parents=True)
            make(args.out, args.only_host)
        print(write_sums(args.out).read_text(), end="")


def notes(wanted):
    """What CHANGELOG.md says of a version."""
    _, *sections = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    for section in sections:
        title, _, text = section.partition("\n")
        if title.startswith(f"[{wanted}]"):
            return text.strip()
    sys.exit(f"CHANGELOG.md has no section [{wanted}]")


def make(out, only_host):
    built = {target: build(target) for target in targets(only_host)}
    runs_here = built.get(host()) or build(host())
    with tempfile.TemporaryDirectory() as folder:
        extras = pathlib.Path(folder)
        write_extras(runs_here, extras)
        for target, command in built.items():
            name = f"unthrottle-{version()}-{target}"
            (out / f"{name}.tar.gz").write_bytes(archive(name, contents(command, extras), commit_time()))
    if sys.platform == "linux":
        for architecture, target in package.TARGETS.items():
            if target in built:
                shutil.copy(package.build(architecture), out / f"unthrottle-function-{version()}-{architecture}.zip")
        (out / f"unthrottle-{version()}-sbom.cdx.json").write_text(sbom())
        write_installer(out)


def version():
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def target_folder():
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def host():
    lines = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout.splitlines()
    return next(line.removeprefix("host: ") for line in lines if line.startswith("host: "))


def targets(only_host):
    """The targets to build for: both architectures of Linux, or the host. Ends the process if Rust lacks one."""
    wanted = [host()] if only_host or sys.platform != "linux" else list(package.TARGETS.values())
    if missing := [target for target in wanted if not package.has_target(target)]:
        more = "" if only_host else " For this machine's architecture alone, give --only-host."
        sys.exit(f"Nothing was built: a release needs {' and '.join(missing)} (see above).{more}")
    return wanted


def command(target):
    """The build of the command line. On Linux, zig links it with an old glibc."""
    if sys.platform == "linux":
        build, target = ["cargo", "zigbuild"], f"{target}.{GLIBC}"
    else:
        build = ["cargo", "build"]
    return [*build, "--locked", "--profile", "dist", "-p", "unthrottle-cli", "--bin", "unthrottle", "--target", target]


def build(target):
    environment = os.environ | {"CARGO_ENCODED_RUSTFLAGS": "\x1f".join(package.flags())}
    subprocess.run(command(target), cwd=ROOT, env=environment, check=True)
    suffix = ".exe" if "windows" in target else ""
    return target_folder() / target / "dist" / f"unthrottle{suffix}"


def write_extras(program, folder):
    """Completions and man pages, as the command itself prints them."""
    for shell, name in SHELLS.items():
        made = subprocess.run([program, "completions", shell], capture_output=True, check=True).stdout
        path = folder / "completions" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(made)
    subprocess.run([program, "man", folder / "man"], check=True, stdout=subprocess.DEVNULL)


def contents(program, extras):
    """The files of an archive, as name → (content, mode)."""
    files = {program.name: (program.read_bytes(), 0o755)}
    for name in ["LICENSE", "README.md", "CHANGELOG.md"]:
        files[name] = ((ROOT / name).read_bytes(), 0o644)
    for path in extras.rglob("*"):
        if path.is_file():
            files[path.relative_to(extras).as_posix()] = (path.read_bytes(), 0o644)
    return files


def archive(folder, files, time):
    """A .tar.gz of these files, without the user, the machine or the time of the build."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=time) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), mode, time
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def commit_time():
    """Seconds since 1970: SOURCE_DATE_EPOCH, or the time of the commit."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    asked = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=True)
    return int(asked.stdout)


def sbom():
    """The dependencies of the command and of the function, as CycloneDX JSON."""
    options = ["--format", "json", "--spec-version", "1.5", "--describe", "binaries", "--target", "all"]
    with tempfile.TemporaryDirectory() as folder:
        # cargo-cyclonedx writes beside each Cargo.toml, so it gets a copy of the manifests and sources.
        copy = pathlib.Path(folder) / "unthrottle"
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, tracked.split("\0")):
            if name.startswith(("Cargo.", "src/", "crates/", "benches/", "infra/prices.json")):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy / name)
        subprocess.run(["cargo", "cyclonedx", *options], cwd=copy, check=True, stdout=subprocess.DEVNULL)
        made = [copy / "crates/cli/unthrottle_bin.cdx.json", copy / "bootstrap_bin.cdx.json"]
        return merged([json.loads(path.read_text().replace(str(copy), ".")) for path in made])


def merged(boms):
    """One document of several, without a random number and without the time of the build."""
    whole, *others = boms
    components = {part["bom-ref"]: part for bom in boms for part in bom["components"]}
    dependencies = {part["ref"]: part for bom in boms for part in bom["dependencies"]}
    for other in others:
        component = other["metadata"]["component"]
        components.setdefault(component["bom-ref"], component)
    whole["components"] = [components[ref] for ref in sorted(components)]
    whole["dependencies"] = [dependencies[ref] for ref in sorted(dependencies)]
    whole.pop("serialNumber", None)
    whole["metadata"].pop("timestamp", None)
    content = json.dumps(whole, sort_keys=True)
    whole["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"


def write_installer(out):
    """install.sh, with the version and the place of this release in it."""
    server, repository = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    place = f"{server}/{repository}/releases/download/v{version()}" if server and repository else ""
    text = (ROOT / "infra/install.sh").read_text()
    text = text.replace("VERSION=\n", f"VERSION={version()}\n").replace("FROM=\n", f"FROM={place}\n")
    (out / "install.sh").write_text(text)
    (out / "install.sh").chmod(0o755)


def write_sums(out):
    """SHA256SUMS of all other files, in the form that `sha256sum --check` reads."""
    sums = out / "SHA256SUMS"
    files = sorted(path for path in out.iterdir() if path != sums)
    sums.write_text("".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files))
    return sums


if __name__ == "__main__":
    main()
