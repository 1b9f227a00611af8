"""A release: the same archives of the same files, an installer that checks the sum, and workflows without a weak point."""

import functools
import gzip
import hashlib
import http.server
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import threading
import tomllib

import pytest
import yaml
from template import ROOT

sys.path.insert(0, str(ROOT / "infra"))
import dist  # noqa: E402
import package  # noqa: E402

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TESTING = [path for path in WORKFLOWS if ".ci/run" in path.read_text()]
PROGRAM = b'#!/bin/sh\necho "unthrottle 9.9.9"\n'
EXTRAS = {
    "completions/unthrottle.bash": (b"bash", 0o644),
    "completions/_unthrottle": (b"zsh", 0o644),
    "completions/unthrottle.fish": (b"fish", 0o644),
    "man/unthrottle.1": (b"page", 0o644),
    "man/unthrottle-put.1": (b"page of put", 0o644),
}
TARGET = "x86_64-unknown-linux-gnu"
NAME = f"unthrottle-9.9.9-{TARGET}"


def test_an_archive_tells_nothing_of_when_or_by_whom_it_was_made():
    files = {"unthrottle": (PROGRAM, 0o755)} | EXTRAS
    made = dist.archive(NAME, files, 1_700_000_000)
    turned = dict(reversed(files.items()))
    assert made == dist.archive(NAME, turned, 1_700_000_000) != dist.archive(NAME, EXTRAS, 1_700_000_000)
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        assert {entry.name: entry.mode for entry in tar} == {f"{NAME}/{name}": mode for name, (_, mode) in files.items()}
        assert {(entry.uid, entry.uname, entry.mtime) for entry in tar} == {(0, "", 1_700_000_000)}


def test_one_list_of_dependencies_is_the_same_whenever_it_is_made():
    def bom(serial, *names):
        components = [{"bom-ref": name, "name": name} for name in names]
        return {
            "serialNumber": f"urn:uuid:{serial}",
            "metadata": {"timestamp": f"2026-01-0{serial}", "component": {"bom-ref": f"program-{names[0]}"}},
            "components": components,
            "dependencies": [{"ref": name} for name in names],
        }

    one = dist.merged([bom(1, "clap", "tokio"), bom(2, "serde", "tokio")])
    assert one == dist.merged([bom(3, "clap", "tokio"), bom(4, "serde", "tokio")])
    assert one != dist.merged([bom(1, "clap", "tokio"), bom(2, "tokio")])
    assert [part["bom-ref"] for part in json.loads(one)["components"]] == ["clap", "program-serde", "serde", "tokio"]


def test_the_command_is_built_by_options_that_the_tool_has():
    built = dist.command(TARGET)
    said = subprocess.run([*built[:2], "--help"], capture_output=True, text=True, check=True).stdout
    for option in [word for word in built if word.startswith("--")]:
        assert re.search(rf"^ +(-\w, )?{option}\b", said, re.MULTILINE), option
    profiles = tomllib.loads((ROOT / "Cargo.toml").read_text())["profile"]
    assert built[built.index("--profile") + 1] in profiles


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Makes a release on a Linux with these targets, without a compiler: (exit, the files)."""
    program = tmp_path / "unthrottle"
    program.write_bytes(PROGRAM)

    def packed(architecture):
        path = tmp_path / f"{architecture}.zip"
        path.write_bytes(package.zipped(b"bootstrap"))
        return path

    for place, name, value in [
        (sys, "platform", "linux"),
        (dist, "host", lambda: TARGET),
        (dist, "build", lambda target: program),
        (dist, "write_extras", lambda program, folder: None),
        (dist, "sbom", lambda: "{}"),
        (dist, "commit_time", lambda: 0),
        (package, "build", packed),
    ]:
        monkeypatch.setattr(place, name, value)

    def run(there, *options):
        out = tmp_path / "out"
        monkeypatch.setattr(package, "has_target", lambda target: target in there)
        monkeypatch.setattr(sys, "argv", ["dist.py", "--out", str(out), *options])
        try:
            dist.main()
        except SystemExit as ended:
            return ended.code, sorted(path.name for path in out.iterdir())
        return 0, sorted(path.name for path in out.iterdir())

    return run


ARM = "aarch64-unknown-linux-gnu"


def files_of(*architectures):
    names = {"arm64": ARM, "x86_64": TARGET}
    commands = [f"unthrottle-{dist.version()}-{names[each]}.tar.gz" for each in architectures]
    packages = [f"unthrottle-function-{dist.version()}-{each}.zip" for each in architectures]
    return sorted([*commands, *packages, f"unthrottle-{dist.version()}-sbom.cdx.json", "install.sh", "SHA256SUMS"])


def test_a_release_has_both_architectures_or_is_none(build):
    assert build([ARM, TARGET]) == (0, files_of("arm64", "x86_64"))
    for missing, there in [(ARM, [TARGET]), (TARGET, [ARM])]:
        says = f"Nothing was built: a release needs {missing} (see above). For this machine's architecture alone, give --only-host."
        assert build(there) == (says, [])


def test_the_files_of_the_host_alone_need_its_target_alone(build):
    assert build([TARGET], "--only-host") == (0, files_of("x86_64"))
    assert build([ARM], "--only-host") == (f"Nothing was built: a release needs {TARGET} (see above).", [])
    # The workflow and the Makefile make all of it.
    assert "--only-host" not in "".join(path.read_text() for path in [*WORKFLOWS, ROOT / "Makefile", ROOT / "infra/reproduce.sh"])


def test_the_changelog_begins_with_the_version_of_the_release():
    assert re.search(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == dist.version()
    assert "### Added" in dist.notes(dist.version())
    with pytest.raises(SystemExit, match="no section"):
        dist.notes("0.0.1")


def test_the_security_page_supports_the_version_of_the_release():
    rows = re.findall(r"^\| (\S+) \| yes \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert rows == [f"{dist.version().rsplit('.', 1)[0]}.x"]


@pytest.fixture
def release(tmp_path):
    """A release whose command is a shell script."""
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / f"{NAME}.tar.gz").write_bytes(dist.archive(NAME, {"unthrottle": (PROGRAM, 0o755)} | EXTRAS, 0))
    dist.write_sums(folder)
    return folder


def install(tmp_path, *options, machine="x86_64", path=None):
    """Runs install.sh on a machine of this kind, for a user whose home is in `tmp_path`."""
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "uname").write_text(f'#!/bin/sh\n[ "$1" = -s ] && echo Linux || echo {machine}\n')
    (tools / "uname").chmod(0o755)
    environment = {"PATH": f"{tools}:{path or os.environ['PATH']}", "HOME": str(tmp_path / "home")}
    command = ["sh", ROOT / "infra/install.sh", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def installed(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


ALL_FILES = [
    "bin/unthrottle",
    "share/bash-completion/completions/unthrottle",
    "share/fish/vendor_completions.d/unthrottle.fish",
    "share/man/man1/unthrottle-put.1",
    "share/man/man1/unthrottle.1",
    "share/zsh/site-functions/_unthrottle",
]


def test_it_installs_for_the_user_and_says_what_path_needs(tmp_path, release):
    made = install(tmp_path, "--from", release, "--version", "v9.9.9")
    prefix = tmp_path / "home/.local"
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout == (
        f"installed unthrottle 9.9.9 to {prefix}/bin/unthrottle\n"
        f"{prefix}/bin is not in PATH. Add this line to the profile of your shell:\n"
        f'  export PATH="{prefix}/bin:$PATH"\n'
    )
    assert installed(prefix) == ALL_FILES
    assert install(tmp_path, "--uninstall").returncode == 0
    assert installed(prefix) == []


def test_it_installs_over_http_into_another_folder(tmp_path, release):
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=release)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        made = install(tmp_path, "--from", place, "--version", "9.9.9", "--prefix", tmp_path / "usr")
        missing = install(tmp_path, "--from", f"{place}/nothing", "--version", "9.9.9")
        server.shutdown()
    assert made.returncode == 0, made.stderr
    assert installed(tmp_path / "usr") == ALL_FILES
    assert missing.returncode == 1 and "cannot get SHA256SUMS from http://127.0.0.1" in missing.stderr
    assert not (tmp_path / "home").exists()


def test_an_archive_with_another_sum_is_not_installed(tmp_path, release):
    archive = release / f"{NAME}.tar.gz"
    archive.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes()) + b"\0"))
    made = install(tmp_path, "--from", release, "--version", "9.9.9")
    assert made.returncode == 1
    assert made.stderr == (
        f"install.sh: {NAME}.tar.gz does not have the SHA-256 sum of SHA256SUMS. Nothing was installed\n"
    )
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "options, says",
    [
        (["--verison", "1"], "unknown option --verison. The options are --from, --prefix, --version, --uninstall"),
        (["--from"], "--from needs a value"),
        (["--from", "."], "which release? Use the install.sh of a release, or give --version"),
        (["--version", "1.0.0"], "from where? Give --from with the URL or the folder that has SHA256SUMS"),
        (["--version", "1.0.0", "--from", "{release}"], "has no unthrottle-1.0.0-x86_64-unknown-linux-gnu.tar.gz"),
        (["--version", "9.9.9", "--from", "/no/such/folder"], "cannot get SHA256SUMS from /no/such/folder"),
    ],
)
def test_bad_options_install_nothing_and_say_why(tmp_path, release, options, says):
    made = install(tmp_path, *[option.replace("{release}", str(release)) for option in options])
    assert made.returncode == 1 and says in made.stderr, made
    assert not (tmp_path / "home").exists()


def test_help_is_there_also_where_the_shell_reads_the_installer_from_a_pipe(tmp_path):
    text = (ROOT / "infra/install.sh").read_text()
    for command in (["sh", "-s", "--", "--help"], ["sh", "-s", "--", "-h"]):
        made = subprocess.run(command, input=text, capture_output=True, text=True, cwd=tmp_path, env={"PATH": os.environ["PATH"]})
        assert (made.returncode, made.stderr) == (0, "")
        assert made.stdout.startswith("Installs the command `unthrottle`") and "--uninstall [--prefix FOLDER]" in made.stdout


def test_a_program_that_does_not_run_here_leaves_the_installed_one(tmp_path, release):
    assert install(tmp_path, "--from", release, "--version", "9.9.9").returncode == 0
    before = (tmp_path / "home/.local/bin/unthrottle").read_bytes()
    # As a program for glibc on a Linux without it: the loader that it names is not there.
    files = {"unthrottle": (b"#!/no/such/loader\n", 0o755)} | EXTRAS
    (release / f"{NAME}.tar.gz").write_bytes(dist.archive(NAME, files, 0))
    dist.write_sums(release)
    made = install(tmp_path, "--from", release, "--version", "9.9.9")
    assert (made.returncode, made.stdout) == (1, "")
    assert "install.sh: the program does not run here: " in made.stderr and made.stderr.endswith("Nothing was installed\n"), made.stderr
    assert (tmp_path / "home/.local/bin/unthrottle").read_bytes() == before
    assert installed(tmp_path / "home/.local") == ALL_FILES


@pytest.mark.parametrize("options", [[], ["--uninstall"]])
def test_a_folder_with_the_name_of_the_command_is_left_alone(tmp_path, release, options):
    folder = tmp_path / "home/.local/bin/unthrottle"
    folder.mkdir(parents=True)
    made = install(tmp_path, "--from", release, "--version", "9.9.9", *options)
    says = f"install.sh: {folder} is a folder. Remove it, or give another --prefix\n"
    assert (made.returncode, made.stdout, made.stderr) == (1, "", says)
    assert folder.is_dir() and installed(tmp_path / "home") == []


def test_nothing_is_said_to_be_removed_where_nothing_was(tmp_path):
    made = install(tmp_path, "--uninstall", "--prefix", tmp_path / "nowhere")
    says = f"install.sh: there is no unthrottle in {tmp_path}/nowhere. Give the --prefix that it was installed to\n"
    assert (made.returncode, made.stdout, made.stderr) == (1, "", says)


@pytest.mark.parametrize("options", [[], ["--uninstall"]])
@pytest.mark.parametrize("home", [{}, {"HOME": ""}])
def test_without_a_home_it_asks_for_a_folder(tmp_path, release, options, home):
    command = ["sh", ROOT / "infra/install.sh", "--from", release, "--version", "9.9.9", *options]
    made = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]} | home)
    assert (made.returncode, made.stderr) == (1, "install.sh: HOME is not set. Give --prefix with the folder to install to\n")


def test_a_relative_folder_gives_a_line_for_path_that_holds_everywhere(tmp_path, release, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = install(tmp_path, "--from", release, "--version", "9.9.9", "--prefix", "mine")
    assert made.returncode == 0 and installed(tmp_path / "mine") == ALL_FILES, made
    assert f'export PATH="{tmp_path}/mine/bin:$PATH"\n' in made.stdout


def test_a_machine_without_an_archive_is_named(tmp_path, release):
    made = install(tmp_path, "--from", release, "--version", "9.9.9", machine="riscv64")
    assert made.returncode == 1 and "there is no archive for Linux on riscv64" in made.stderr


def test_a_release_s_installer_knows_its_version_and_its_place(tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://git.example")
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/unthrottle")
    dist.write_installer(tmp_path)
    text = (tmp_path / "install.sh").read_text().splitlines()
    assert f"VERSION={dist.version()}" in text
    assert f"FROM=https://git.example/somebody/unthrottle/releases/download/v{dist.version()}" in text


def test_a_checkout_has_the_same_bytes_everywhere():
    """Git for Windows otherwise writes CRLF, which the tests and a shell in a container do not read."""
    made = subprocess.run(["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip("this is no checkout")
    for line in made.stdout.splitlines():
        (facts, path) = line.split("\t")
        (index, _, attributes) = facts.split(maxsplit=2)
        is_bytes = path.startswith("fuzz/corpus/") or path.endswith(".bin")
        assert attributes.split() == (["attr/-text"] if is_bytes else ["attr/text=auto", "eol=lf"]), line
        assert is_bytes or index in ("i/lf", "i/none"), line


def test_the_readme_names_the_systems_that_the_installer_and_the_release_have():
    (said,) = re.findall(r"^A release has the command for (.+?), and needs no Rust\.", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert said == "Linux and macOS"
    targets = re.findall(r"TARGET=(\S+) ;;", (ROOT / "infra/install.sh").read_text())
    assert {target.split("-", 1)[1] for target in targets} == {"unknown-linux-gnu", "apple-darwin"}
    hosts = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["build"]["strategy"]["matrix"]["os"]
    built = [*package.TARGETS.values(), *(f"{machine}-apple-darwin" for machine, host in {"aarch64": "macos-15", "x86_64": "macos-15-intel"}.items() if host in hosts)]
    assert sorted(targets) == sorted(built)


def test_the_sums_are_those_that_the_tools_of_linux_check(release):
    lines = (release / "SHA256SUMS").read_text().splitlines()
    archive = release / f"{NAME}.tar.gz"
    assert lines == [f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  {archive.name}"]


def test_the_workflows_have_githubs_form_and_no_weak_point():
    assert [path.stem for path in WORKFLOWS] == ["check", "nightly", "release"]
    assert [path.stem for path in TESTING] == ["check", "release"]
    for command in [["check-jsonschema", "--builtin-schema", "vendor.github-workflows"], ["zizmor", "--offline", "--quiet"]]:
        made = subprocess.run([pathlib.Path(sys.executable).parent / command[0], *command[1:], *WORKFLOWS], capture_output=True, text=True)
        assert made.returncode == 0, made.stdout + made.stderr


@pytest.mark.parametrize("path", TESTING, ids=lambda path: path.stem)
def test_a_job_that_runs_the_tests_has_first_what_no_registry_has(path):
    """With CI=true a test that lacks Terraform fails, and GitHub's image does not have it."""
    (steps,) = [job["steps"] for job in yaml.safe_load(path.read_text())["jobs"].values() if "matrix" in str(job) or ".ci/run" in str(job)]
    (tests,) = [at for at, step in enumerate(steps) if ".ci/run" in step.get("run", "")]
    (tools,) = [step for step in steps[:tests] if step.get("uses", "").startswith("hashicorp/setup-terraform@")]
    assert tools.get("if") == steps[tests].get("if")
    # The wrapper adds its own lines to what Terraform says.
    assert tools["with"]["terraform_wrapper"] is False
    (lowest,) = re.findall(r'required_version = ">= ([\d.]+)"', (ROOT / "infra/terraform/versions.tf").read_text())
    version = [[int(part) for part in text.split(".")] for text in (tools["with"]["terraform_version"], lowest)]
    assert version[0] >= version[1]


def test_a_release_installs_the_command_in_the_ways_that_the_pages_name():
    """On each host, before its files go out. From a repository Cargo finds the package by its name."""
    steps = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["build"]["steps"]
    runs = [step.get("run", step.get("uses", "")) for step in steps]
    (at,) = [at for at, run in enumerate(runs) if run.startswith("cargo install --locked --path crates/cli ")]
    assert "if" not in steps[at] and "actions/upload-artifact" in str(runs[at + 1 :])
    operations, readme = ((ROOT / page).read_text() for page in ("docs/operations.md", "README.md"))
    assert "    cargo install --locked --path crates/cli\n" in operations and "cargo install --locked --path crates/cli " in readme
    (name,) = re.findall(r"    cargo install --locked --git URL (\S+)\n", operations)
    manifest = tomllib.loads((ROOT / "crates/cli/Cargo.toml").read_text())
    assert (name, manifest["bin"][0]["name"]) == (manifest["package"]["name"], "unthrottle")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_each_command_of_a_workflow_is_there(path):
    text = path.read_text()
    for target in re.findall(r"\bmake (\w+)", text):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for name in re.findall(r"(?:infra|\.ci)/[\w.]+", text):
        assert (ROOT / name).is_file(), name
    # A secret of the repository would be one that a fork lacks and a leak reveals.
    assert "secrets." not in text
