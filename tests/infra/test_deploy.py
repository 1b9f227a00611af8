"""The first deployment: samconfig.toml as SAM itself reads it, and what `make deploy` says before it builds."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib

import boto3
import pytest
from mirror import snake
from moto import mock_aws
from template import ROOT, TEMPLATE

sys.path.insert(0, str(ROOT / "infra"))
import deploy as program  # noqa: E402

PARAMETERS = TEMPLATE["Parameters"]
REGION = "eu-west-1"


# samconfig.toml.


def built(folder):
    """A folder as `sam build` leaves it, with a program that was not compiled."""
    from samcli.commands._utils.template import get_template_data, move_template

    for name in ["template.yaml", "samconfig.toml", "README.md", "LICENSE"]:
        shutil.copy(ROOT / name, folder)
    program = folder / ".aws-sam/build/Function/bootstrap"
    program.parent.mkdir(parents=True)
    program.write_text("a program")
    template = get_template_data(str(folder / "template.yaml"))
    template["Resources"]["Function"]["Properties"]["CodeUri"] = str(program.parent)
    move_template(str(folder / "template.yaml"), str(folder / ".aws-sam/build/template.yaml"), template)


def change_set(folder, *arguments):
    """The change set that `sam deploy` makes in an empty account: (resources, parameters, what SAM printed)."""
    from click.testing import CliRunner
    from samcli.cli.main import cli

    with mock_aws():
        boto3.client("s3", REGION).create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
        # The bucket alone is given: moto does not make SAM's own stack of a bucket.
        command = ["deploy", "--no-resolve-s3", "--s3-bucket", "artifacts", "--no-execute-changeset", *arguments]
        # No input: a question would be an error.
        ran = CliRunner().invoke(cli, command)
        assert ran.exit_code == 0, ran.output
        cloudformation = boto3.client("cloudformation", REGION)
        (found,) = cloudformation.list_change_sets(StackName="unthrottle")["Summaries"]
        described = cloudformation.describe_change_set(ChangeSetName=found["ChangeSetName"], StackName="unthrottle")
    resources = {change["ResourceChange"]["LogicalResourceId"] for change in described["Changes"]}
    return resources, {each["ParameterKey"]: each["ParameterValue"] for each in described["Parameters"]}, ran.output


@pytest.fixture
def folder(tmp_path, monkeypatch):
    built(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in {"HOME": str(tmp_path), "AWS_DEFAULT_REGION": REGION, "SAM_CLI_TELEMETRY": "0"}.items():
        monkeypatch.setenv(name, value)
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]:
        monkeypatch.setenv(name, "none")
    return tmp_path


def test_sam_deploy_asks_nothing_observes_and_reserves_nothing(folder):
    resources, parameters, said = change_set(folder)
    assert resources >= set(TEMPLATE["Resources"]) and "CAPABILITY_NAMED_IAM" in said
    # The others have their defaults.
    assert parameters == {"Mode": "observe"} and PARAMETERS["ReservedConcurrency"]["Default"] == 0
    assert TEMPLATE["Conditions"]["HasReservedConcurrency"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ReservedConcurrency"}, 0]}]}


def test_the_readmes_next_line_turns_healing_on(folder):
    readme = (ROOT / "README.md").read_text()
    (line,) = re.findall(r"^    sam deploy (--parameter-overrides \S+)", readme, re.MULTILINE)
    _, parameters, _ = change_set(folder, *line.split())
    assert parameters["Mode"] == "heal"


def test_the_readmes_second_line_turns_healing_on_without_tools_of_the_users(deploy):
    """`make deploy` installs SAM where no PATH of a person has it, so the line after it is a `make deploy`, too."""
    readme = (ROOT / "README.md").read_text()
    first, second = re.findall(r"^    make deploy *(?:PARAMETERS=(\S+))? +#", readme, re.MULTILINE)
    _, _, calls = deploy(*first.split())
    assert ["sam", "deploy", "--region", REGION, "--parameter-overrides", "Mode=observe"] in calls
    code, said, calls = deploy(*second.split(), answers={"aws cloudformation describe-stacks": stack("CREATE_COMPLETE", Mode="observe")})
    assert code == 0 and calls[-1] == ["sam", "deploy", "--region", REGION, "--parameter-overrides", "Mode=heal"], said
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^deploy: .*\n\t\.venv/bin/python infra/deploy\.py .*\$\(PARAMETERS\)$", makefile, re.MULTILINE)


def test_the_file_is_committed_and_names_only_parameters():
    assert "samconfig.toml" not in (ROOT / ".gitignore").read_text()
    deploy = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    pairs = dict(pair.split("=") for pair in deploy["parameter_overrides"].split())
    assert pairs == {"Mode": "observe"} and set(pairs) <= set(PARAMETERS)
    # No account, no region, no bucket: it is everybody's file.
    assert not {"region", "profile", "s3_bucket"} & set(deploy)


# What `make deploy` says first. AWS and SAM are programs on the PATH that answer as the real ones do.

FAKE = """#!PYTHON
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([pathlib.Path(__file__).name, *sys.argv[1:]]) + "\\n")
answers = json.loads((folder / "answers.json").read_text())
words = [pathlib.Path(__file__).name, *sys.argv[1:]]
for key, (code, text) in answers.items():
    if words[: len(key.split())] == key.split():
        print(text, file=sys.stderr if code else sys.stdout)
        sys.exit(code)
sys.exit(f"no answer for {words}")
"""


def error(code, operation, text):
    """As the AWS CLI prints what AWS refuses."""
    return [254, f"\nAn error occurred ({code}) when calling the {operation} operation: {text}"]


def answer(value):
    return [0, json.dumps(value)]


def settings(unreserved):
    limit = {"TotalCodeSize": 80530636800, "CodeSizeUnzipped": 262144000, "CodeSizeZipped": 52428800}
    limit |= {"ConcurrentExecutions": unreserved, "UnreservedConcurrentExecutions": unreserved}
    return answer({"AccountLimit": limit, "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": 0}})


def stack(status, **parameters):
    listed = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()]
    return answer({"Stacks": [{"StackName": "unthrottle", "StackStatus": status, "Parameters": listed}]})


# A new account, with tools that are new enough.
NEW = {
    "sam --version": [0, "SAM CLI, version 1.170.0"],
    "cargo lambda --version": [0, "cargo-lambda 1.9.2 (bd1d5c2)"],
    "aws --version": [0, "aws-cli/2.31.4 Python/3.13.7 Linux/6.8.0 exe/x86_64.ubuntu.24"],
    "terraform version": [0, "Terraform v1.11.4\non linux_amd64"],
    "aws sts get-caller-identity": answer({"UserId": "AIDA", "Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ops"}),
    "aws cloudformation describe-stacks": error("ValidationError", "DescribeStacks", "Stack with id unthrottle does not exist"),
    "aws iam get-role": error("NoSuchEntity", "GetRole", "The role with name unthrottle-eu-west-1 cannot be found."),
    "aws lambda get-account-settings": settings(10),
    "aws cloudwatch get-metric-data": answer({"MetricDataResults": [], "Messages": []}),
    "aws oam list-sinks": answer({"Items": []}),
    "sam build": [0, "Build Succeeded"],
    "sam deploy": [0, "Successfully created/updated stack - unthrottle"],
}


@pytest.fixture
def deploy(tmp_path, monkeypatch, capsys):
    """Runs infra/deploy.py before these programs: (exit code, what it said, the programs' calls)."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (tmp_path / "config").write_text(f"[default]\nregion = {REGION}\n")

    def run(*arguments, answers=(), without=()):
        for name in {"sam", "aws", "cargo", "terraform"} - set(without):
            (tmp_path / name).write_text(FAKE.replace("PYTHON", sys.executable))
            (tmp_path / name).chmod(stat.S_IRWXU)
        # The first answer that fits is the more special one.
        (tmp_path / "answers.json").write_text(json.dumps(dict(answers) | {k: v for k, v in NEW.items() if k not in answers}))
        try:
            code = program.main(list(arguments))
        except SystemExit as ended:
            code = ended.code
        calls = tmp_path / "calls"
        made = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
        return code, " ".join("".join(capsys.readouterr()).split()), made

    return run


def built_and_deployed(calls):
    return [call[1] for call in calls if call[0] == "sam" and call[1] in ("build", "deploy")]


def test_a_new_account_takes_the_defaults(deploy):
    code, said, calls = deploy()
    assert code == 0 and "FAILS" not in said, said
    assert "ok ReservedConcurrency=0 reserves nothing. The account has 10 unreserved runs." in said
    assert "ok Account 123456789012, region eu-west-1" in said
    assert ["sam", "build", "--parameter-overrides", "Architecture=arm64"] in calls
    assert ["sam", "deploy", "--region", REGION, "--parameter-overrides", "Mode=observe"] in calls


def test_a_check_builds_and_deploys_nothing(deploy):
    code, said, calls = deploy("--check")
    assert (code, built_and_deployed(calls)) == (0, []) and said.endswith("Nothing that was checked would fail.")


def test_parameters_are_added_to_those_of_samconfig(deploy):
    _, _, calls = deploy("NotificationEmail=ops@example.com", "Architecture=x86_64")
    assert ["sam", "build", "--parameter-overrides", "Architecture=x86_64"] in calls
    (deployed,) = [call for call in calls if call[:2] == ["sam", "deploy"]]
    assert deployed[5:] == ["Mode=observe", "NotificationEmail=ops@example.com", "Architecture=x86_64"]


def test_a_stack_keeps_its_architecture(deploy):
    answers = {"aws cloudformation describe-stacks": stack("UPDATE_COMPLETE", Mode="observe", Architecture="x86_64")}
    _, _, calls = deploy(answers=answers)
    assert ["sam", "build", "--parameter-overrides", "Architecture=x86_64"] in calls


@pytest.mark.parametrize(
    ("unreserved", "wanted", "code", "part"),
    [
        (10, 5, 1, "FAILS ReservedConcurrency=5 would leave 5 of 10 unreserved runs, and Lambda keeps at least 10. Set ReservedConcurrency=0"),
        (10, 1, 1, "would leave 9 of 10"),
        (50, 5, 0, "note ReservedConcurrency=5 would leave 45 unreserved runs."),
        (1000, 5, 0, "ok ReservedConcurrency=5 leaves 995 unreserved runs."),
        (1000, 0, 0, "Its quota has room for ReservedConcurrency=5."),
    ],
)
def test_a_reservation_is_compared_with_what_the_account_has(deploy, unreserved, wanted, code, part):
    ended, said, calls = deploy(f"ReservedConcurrency={wanted}", answers={"aws lambda get-account-settings": settings(unreserved)})
    assert ended == code and part in said, said
    assert built_and_deployed(calls) == ([] if code else ["build", "deploy"])


def test_what_the_stack_has_reserved_comes_back(deploy):
    had = stack("UPDATE_COMPLETE", Mode="observe", ReservedConcurrency="5")
    code, said, _ = deploy(answers={"aws cloudformation describe-stacks": had, "aws lambda get-account-settings": settings(995)})
    assert code == 0 and "ok ReservedConcurrency=5 leaves 995 unreserved runs." in said, said


@pytest.mark.parametrize(
    ("answers", "part"),
    [
        ({"sam --version": [0, "SAM CLI, version 1.155.2"]}, "FAILS sam is 1.155.2; 1.156 or newer is needed."),
        ({"aws iam get-role --role-name unthrottle-eu-west-1": answer({"Role": {"RoleName": "unthrottle-eu-west-1"}})}, "FAILS The role unthrottle-eu-west-1 exists"),
        ({"aws cloudformation describe-stacks": stack("ROLLBACK_COMPLETE")}, "FAILS The stack unthrottle is ROLLBACK_COMPLETE and takes no update."),
        (
            {"aws cloudformation describe-stacks": stack("UPDATE_ROLLBACK_FAILED", Mode="observe")},
            "then end the rollback: aws cloudformation continue-update-rollback --stack-name unthrottle --region eu-west-1",
        ),
        ({"aws cloudformation describe-stacks": stack("UPDATE_IN_PROGRESS")}, "FAILS The stack unthrottle is UPDATE_IN_PROGRESS. Wait"),
        ({"aws cloudformation describe-stacks": stack("CREATE_COMPLETE", Mode="heal")}, "FAILS The stack runs with Mode=heal, and samconfig.toml has"),
        (
            {"aws sts get-caller-identity": [255, "Unable to locate credentials. You can configure credentials by running"]},
            "FAILS AWS takes no call: Unable to locate credentials.",
        ),
        (
            {"aws cloudwatch get-metric-data": error("ValidationError", "GetMetricData", "Invalid metrics expression 'refused'.")},
            "Set ThisAccountOnly=deny.",
        ),
    ],
)
def test_what_would_fail_is_said_and_nothing_is_built(deploy, answers, part):
    code, said, calls = deploy(answers=answers)
    assert (code, built_and_deployed(calls)) == (1, []), said
    assert part in said and said.endswith("1 thing would fail. Nothing was built or deployed."), said


def test_without_a_region_nothing_is_built(deploy, tmp_path):
    (tmp_path / "config").write_text("[profile other]\nregion = eu-west-1\n")
    code, said, calls = deploy()
    assert (code, built_and_deployed(calls)) == (1, [])
    assert "FAILS No region is set. Set AWS_DEFAULT_REGION, or add region to samconfig.toml." in said and said.endswith("1 thing would fail. Nothing was built or deployed.")


@pytest.mark.parametrize(
    ("arguments", "had", "part"),
    [
        (["MinShards=200"], {}, "FAILS MinShards=200 must be at most MaxShards=100."),
        (["MaxShardsCeiling=5"], {}, "FAILS MaxShards=100 must be at most MaxShardsCeiling=5."),
        (["ConfirmMinutes=5", "WindowMinutes=3"], {}, "FAILS ConfirmMinutes=5 must be at most WindowMinutes=3."),
        (["MaxShards=20"], {"MinShards": "30"}, "FAILS MinShards=30 must be at most MaxShards=20."),
        (["MaxShards=200"], {"MaxShards": "40", "MaxShardsCeiling": "150"}, "FAILS MaxShards=200 must be at most MaxShardsCeiling=150."),
    ],
)
def test_parameters_that_bound_one_another_are_compared(deploy, arguments, had, part):
    answers = {"aws cloudformation describe-stacks": stack("UPDATE_COMPLETE", Mode="observe", **had)} if had else {}
    code, said, calls = deploy(*arguments, answers=answers)
    assert (code, built_and_deployed(calls)) == (1, []) and part in said, said


@pytest.mark.parametrize(
    ("arguments", "had"),
    [
        (["MinShards=100"], {}),
        (["MaxShardsCeiling="], {}),
        (["ConfirmMinutes=3", "WindowMinutes=3"], {}),
        (["MaxShardsCeiling=50"], {"MaxShards": "40"}),
        (["MinShards=200"], {"MaxShards": "300"}),
    ],
)
def test_parameters_that_fit_one_another_and_the_stack_are_deployed(deploy, arguments, had):
    answers = {"aws cloudformation describe-stacks": stack("UPDATE_COMPLETE", Mode="observe", **had)} if had else {}
    code, said, calls = deploy(*arguments, answers=answers)
    assert code == 0 and built_and_deployed(calls) == ["build", "deploy"] and "must be" not in said, said


def test_a_bound_of_a_stack_that_may_not_be_read_is_a_note(deploy):
    denied = error("AccessDenied", "DescribeStacks", "not authorized: cloudformation:DescribeStacks")
    answers = {"aws cloudformation describe-stacks": denied}
    code, said, _ = deploy("MinShards=200", answers=answers)
    assert code == 0 and "note MinShards=200 must be at most MaxShards=100, unless a stack has other values" in said, said
    code, said, _ = deploy("MinShards=200", "MaxShards=150", answers=answers)
    assert code == 1 and "FAILS MinShards=200 must be at most MaxShards=150." in said, said


def test_the_pairs_are_those_that_terraform_compares():
    conditions = re.findall(r"condition +=.*var\.(?:confirm|min|max)_.*", (ROOT / "infra/terraform/outputs.tf").read_text())
    compared = [{name for name in re.findall(r"var\.(\w+)", condition)} for condition in conditions]
    assert compared == [{snake(name) for name in pair} for pair in program.PAIRS]


def test_a_healing_stack_goes_on_healing_if_the_command_line_says_so(deploy):
    healing = stack("CREATE_COMPLETE", Mode="heal")
    code, said, calls = deploy("Mode=heal", answers={"aws cloudformation describe-stacks": healing})
    assert code == 0 and ["sam", "deploy", "--region", REGION, "--parameter-overrides", "Mode=heal"] in calls, said


def test_a_denied_look_is_named_and_stops_nothing(deploy):
    denied = {
        "aws iam get-role": error("AccessDenied", "GetRole", "User: ops is not authorized to perform: iam:GetRole"),
        "aws lambda get-account-settings": error("AccessDeniedException", "GetAccountSettings", "not authorized: lambda:GetAccountSettings"),
        "aws cloudwatch get-metric-data": error("AccessDenied", "GetMetricData", "not authorized: cloudwatch:GetMetricData"),
    }
    code, said, calls = deploy("ReservedConcurrency=5", answers=denied)
    assert code == 0 and built_and_deployed(calls) == ["build", "deploy"], said
    for part in ["iam:GetRole", "lambda:GetAccountSettings", "cloudwatch:GetMetricData"]:
        assert re.search(rf"note [^|]*was not checked: [^|]*{part}", said), said


def test_roles_of_a_stack_that_may_not_be_read_are_no_reason(deploy):
    denied = error("AccessDenied", "DescribeStacks", "not authorized: cloudformation:DescribeStacks")
    there = answer({"Role": {"RoleName": "unthrottle-eu-west-1"}})
    code, said, _ = deploy(answers={"aws cloudformation describe-stacks": denied, "aws iam get-role": there})
    assert code == 0 and "note The stack unthrottle was not checked" in said and "FAILS" not in said, said


def test_without_the_aws_cli_the_account_is_not_checked(deploy, monkeypatch):
    monkeypatch.setenv("AWS_REGION", REGION)
    code, said, calls = deploy(without=["aws"])
    assert code == 0 and "note aws is not installed; 1.27 or newer is needed." in said, said
    assert not [call for call in calls if call[0] == "aws"]


def test_in_a_monitoring_account_the_switch_is_named(deploy):
    sinks = answer({"Items": [{"Arn": "arn:aws:oam:eu-west-1:123456789012:sink/1", "Id": "1", "Name": "sink"}]})
    code, said, _ = deploy("ThisAccountOnly=deny", answers={"aws oam list-sinks": sinks})
    assert code == 0 and "note This is a monitoring account of CloudWatch. ThisAccountOnly=allow" in said


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("Mod=heal", "Mod is no parameter of template.yaml. Did you mean Mode?"),
        ("heal", "heal is no parameter. Write NAME=VALUE, such as Mode=heal."),
        ("Mode=on", "Mode=on: must be one of heal, observe, off"),
        ("MaxShards=0", "MaxShards=0: must be a whole number from 1 to 10000"),
        ("MaxShards=many", "MaxShards=many: must be a whole number from 1 to 10000"),
        ("AutoFixAlarmThreshold=0", "AutoFixAlarmThreshold=0: must be a whole number of at least 1"),
        ("TargetUtilization=1", "TargetUtilization=1: must be a number from 0.3 to 0.95"),
        ("Floor=nan", "Floor=nan: must be a number from 0 to 0.5"),
        ("Floor=1e-3", "Floor=1e-3: must be a number from 0 to 0.5"),
        ("TargetUtilization=0.7_5", "TargetUtilization=0.7_5: must be a number from 0.3 to 0.95"),
        ("TargetUtilization=.75", "TargetUtilization=.75: must be a number from 0.3 to 0.95"),
        ("ReservedConcurrency=00", "ReservedConcurrency=00: must be a whole number from 0 to 1000"),
        ("MaxShards=0100", "MaxShards=0100: must be a whole number from 1 to 10000"),
        ("MaxShards=1_0", "MaxShards=1_0: must be a whole number from 1 to 10000"),
        ("MaxShards=٣", "MaxShards=٣: must be a whole number from 1 to 10000"),
        ("MaxHourlyCost=$5", "MaxHourlyCost=$5: must be USD an hour from 0.01 to 1000000, or empty"),
        ("RolePath=team", "RolePath=team: must be a path that begins and ends with a slash"),
    ],
)
def test_a_bad_parameter_is_named_before_anything_is_asked(deploy, argument, said):
    code, output, calls = deploy(argument)
    assert (code, output, calls) == (2, said, [])


WHOLE = [name for name, declared in PARAMETERS.items() if declared["Type"] == "Number" and "MinValue" in declared and isinstance(declared["Default"], int)]


@pytest.mark.parametrize("name", WHOLE)
def test_a_fraction_where_only_whole_numbers_work_is_refused(deploy, name):
    fraction = PARAMETERS[name]["MinValue"] + 0.5
    code, said, calls = deploy(f"{name}={fraction}")
    assert (code, calls) == (2, []) and said.startswith(f"{name}={fraction}: must be "), said
    assert deploy(f"{name}={PARAMETERS[name]['MinValue']}", "--check")[0] == 0


@pytest.fixture
def samconfig(tmp_path, monkeypatch):
    """Puts this text in the place of samconfig.toml."""
    path = tmp_path / "given.toml"
    monkeypatch.setattr(program, "SAMCONFIG", path)
    return path.write_text


def test_the_file_that_sam_writes_after_its_questions_is_read_as_sam_reads_it(deploy, samconfig):
    # `sam deploy --guided` writes quotes, and what all commands share.
    samconfig(
        """version = 0.1
[default.global.parameters]
stack_name = "healer"
[default.deploy.parameters]
region = "eu-central-1"
profile = "sandbox"
parameter_overrides = "Mode=\\"observe\\" NotificationEmail=\\"ops@example.com\\" MaxHourlyCost=\\"\\""
"""
    )
    code, said, calls = deploy(answers={"aws iam get-role": error("NoSuchEntity", "GetRole", "cannot be found")})
    assert code == 0 and said.startswith("Before a deployment of the stack healer:"), said
    given = ["Mode=observe", "NotificationEmail=ops@example.com", 'MaxHourlyCost=""']
    assert ["sam", "deploy", "--region", "eu-central-1", "--parameter-overrides", *given] in calls
    asked = [call for call in calls if call[0] == "aws" and call[1] not in ("--version", "configure")]
    assert len(asked) > 3 and [call for call in asked if call[call.index("--profile") + 1] != "sandbox"] == []


def test_what_this_program_gives_is_what_sam_reads(deploy, samconfig):
    from samcli.cli.types import CfnParameterOverridesType

    samconfig('[default.deploy.parameters]\nstack_name = "unthrottle"\n')
    values = {"MaxHourlyCost": "", "NotificationEmail": "a+b@example.com", "RolePath": "/team/", "Mode": "heal"}
    _, _, calls = deploy(*(f"{name}={value}" for name, value in values.items()))
    (deployed,) = [call for call in calls if call[:2] == ["sam", "deploy"]]
    assert CfnParameterOverridesType().convert(tuple(deployed[5:]), None, None) == values


def test_without_parameters_in_the_file_a_stack_keeps_its_own(deploy, samconfig):
    samconfig('[default.deploy.parameters]\nstack_name = "unthrottle"\n')
    code, said, calls = deploy(answers={"aws cloudformation describe-stacks": stack("CREATE_COMPLETE", Mode="heal")})
    assert code == 0 and ["sam", "deploy", "--region", REGION] in calls, said


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[default", "samconfig.toml cannot be read: "),
        ("", "samconfig.toml has no stack_name under [default.deploy.parameters]."),
        ('[default.deploy.parameters]\nstack_name = "a"\nparameter_overrides = "observe"', "samconfig.toml: parameter_overrides: "),
        ('[default.deploy.parameters]\nstack_name = "a"\nparameter_overrides = "Mod=heal"', "Did you mean Mode?"),
    ],
)
def test_a_file_that_sam_could_not_read_is_named(deploy, samconfig, text, part):
    samconfig(text)
    code, said, calls = deploy()
    assert (code, calls) == (2, []) and part in said, said


def test_a_region_that_sam_alone_does_not_see_is_given_to_it_and_named(deploy, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    code, said, calls = deploy()
    assert code == 0 and "note AWS_REGION is ap-south-1, which `sam deploy` alone does not read: it takes eu-west-1." in said, said
    assert ["sam", "deploy", "--region", "ap-south-1", "--parameter-overrides", "Mode=observe"] in calls
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert "AWS_REGION is" not in deploy()[1]


def test_a_region_for_make_deploy_alone_is_named_as_none_for_sam(deploy, monkeypatch, tmp_path):
    (tmp_path / "config").write_text("")
    monkeypatch.setenv("AWS_REGION", "ap-south-1")
    code, said, _ = deploy()
    assert code == 0 and "which `sam deploy` alone does not read: it has no region then. Set AWS_DEFAULT_REGION, too." in said, said


def test_the_region_of_the_profile_is_found_without_the_aws_cli(deploy, samconfig, tmp_path):
    (tmp_path / "config").write_text("[profile sandbox]\nregion = eu-north-1\n")
    samconfig('[default.deploy.parameters]\nstack_name = "unthrottle"\nprofile = "sandbox"\n')
    code, said, calls = deploy(without=["aws"])
    assert code == 0 and ["sam", "deploy", "--region", "eu-north-1"] in calls, said


def test_a_missing_terraform_is_named_and_stops_nothing(deploy):
    code, said, _ = deploy(without=["terraform"])
    assert code == 0 and "note terraform is not installed; 1.6 or newer is needed. Only the Terraform module needs it." in said, said
    code, said, _ = deploy(answers={"terraform version": [0, "Terraform v1.5.7"]})
    assert code == 0 and "note terraform is 1.5.7; 1.6 or newer is needed." in said, said


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_the_usage_is_printed_and_nothing_is_asked(deploy, option):
    code, said, calls = deploy(option, "Mode=heal")
    assert (code, calls) == (0, []) and "infra/deploy.py [--check] [NAME=VALUE …]" in said


def test_the_pages_table_has_the_lowest_versions():
    page = (ROOT / "docs/operations.md").read_text()
    section = page.split("### What you need")[1].split("\n### ")[0]
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|", section, re.MULTILINE))
    names = {"sam": "SAM CLI", "cargo-lambda": "cargo-lambda", "aws": "AWS CLI", "terraform": "Terraform"}
    assert {names[tool]: lowest for tool, (_, lowest, _) in program.TOOLS.items()}.items() <= rows.items()
    versions = (ROOT / "infra/terraform/versions.tf").read_text()
    assert f'required_version = ">= {rows["Terraform"]}"' in versions
    assert f'rust-version = "{rows["Rust"]}"' in (ROOT / "Cargo.toml").read_text()


def test_it_runs_as_a_program():
    done = subprocess.run([sys.executable, ROOT / "infra/deploy.py", "Mode"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr == "Mode is no parameter. Write NAME=VALUE, such as Mode=heal.\n"
