"""Checkov on template.yaml and infra/: each finding is argued in .checkov.yaml, and nothing is argued that is none."""

import json
import re
import shutil
import subprocess

import yaml
from terraform import ROOT


def test_every_finding_is_argued_and_every_argument_is_of_a_finding(tmp_path):
    assert shutil.which("checkov"), "checkov is not installed: `make infra` does it"
    # A copy, so that neither what was built nor the file of arguments is seen.
    shutil.copy(ROOT / "template.yaml", tmp_path)
    shutil.copytree(ROOT / "infra", tmp_path / "infra", ignore=shutil.ignore_patterns(".terraform*"))
    # These examples are calls of the module, which is checked once.
    for name in ["one-region", "several-regions"]:
        shutil.rmtree(tmp_path / "infra/terraform/examples" / name)
    command = "checkov --directory . --framework cloudformation terraform --skip-download --quiet --output json --soft-fail"
    done = subprocess.run(command.split(), cwd=tmp_path, capture_output=True, text=True)
    reports = {report["check_type"]: report for report in json.loads(done.stdout)}
    assert set(reports) == {"cloudformation", "terraform"}, done.stderr
    found = {}
    for report in reports.values():
        assert report["summary"]["parsing_errors"] == 0 and report["summary"]["passed"] > 20
        # Nothing is excused where it is written.
        assert report["summary"]["skipped"] == 0
        for finding in report["results"]["failed_checks"]:
            found.setdefault(finding["check_id"], []).append(f"{finding['resource']}: {finding['check_name']}")
    text = (ROOT / ".checkov.yaml").read_text()
    argued = yaml.safe_load(text)["skip-check"]
    assert {each: where for each, where in found.items() if each not in argued} == {}
    assert [each for each in argued if each not in found] == []
    assert len(re.findall(r"# .*\n  - CKV", text)) == len(argued)
