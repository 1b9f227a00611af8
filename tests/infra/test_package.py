"""The function's package: the same bytes whenever and wherever it is made of the same ones, and no other architecture."""

import io
import pathlib
import re
import subprocess
import sys
import tomllib
import zipfile

from template import ROOT, TEMPLATE

sys.path.insert(0, str(ROOT / "infra"))
import package  # noqa: E402


def test_a_package_tells_nothing_of_when_or_by_whom_it_was_made():
    made = package.zipped(b"a program" * 1000)
    assert made == package.zipped(b"a program" * 1000) != package.zipped(b"another")
    with zipfile.ZipFile(io.BytesIO(made)) as content:
        (entry,) = content.infolist()
        assert content.read(entry) == b"a program" * 1000
    # Lambda starts a file of this name, if it may be executed.
    assert (entry.filename, entry.external_attr >> 16, entry.date_time) == ("bootstrap", 0o100755, (1980, 1, 1, 0, 0, 0))
    assert entry.compress_type == zipfile.ZIP_DEFLATED and entry.extra == b""


def test_there_is_a_package_for_each_architecture_that_the_template_takes():
    assert list(package.TARGETS) == TEMPLATE["Parameters"]["Architecture"]["AllowedValues"]
    for example in pathlib.Path(ROOT / "infra/terraform/examples").rglob("main.tf"):
        text = example.read_text()
        assert "package" not in text or "target/lambda/unthrottle-arm64.zip" in text, example


def test_another_architecture_is_refused_by_name():
    made = subprocess.run([sys.executable, ROOT / "infra/package.py", "riscv"], capture_output=True, text=True)
    assert made.returncode == 1
    assert made.stderr == "not an architecture of Lambda: riscv (use arm64 or x86_64)\n"


def test_it_is_built_by_options_that_the_tools_have():
    built = package.command("aarch64-unknown-linux-gnu")
    said = subprocess.run([*built[:3], "--help"], capture_output=True, text=True, check=True).stdout
    for option in [word for word in built if word.startswith("--")]:
        assert re.search(rf"^ +(-\w, )?{option}\b", said, re.MULTILINE), option


def test_a_build_in_this_folder_builds_the_lambda_alone():
    # SAM runs `cargo lambda build` here without a word on packages or features.
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
    assert manifest["package"]["name"] == "unthrottle" and "features" not in manifest
    assert "default-members" not in manifest["workspace"]
    assert [binary["name"] for binary in manifest["bin"]] == ["bootstrap"]
    assert not {"--package", "-p", "--workspace", "--features", "--all-features"} & set(package.command("aarch64-unknown-linux-gnu"))


def test_no_path_of_this_machine_is_in_a_program(tmp_path):
    (tmp_path / "main.rs").write_text('fn main() { std::env::args().nth(9).expect("nine") ; panic!("here") }')
    flags = [flag.replace(str(ROOT), str(tmp_path)) for flag in package.flags()]
    made = []
    for extra in [[], flags]:
        subprocess.run(["rustc", *extra, "-o", tmp_path / "main", tmp_path / "main.rs"], check=True)
        made.append(str(tmp_path).encode() in (tmp_path / "main").read_bytes())
    assert made == [True, False]
