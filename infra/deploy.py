"""Says what a deployment would fail on, then builds and deploys the stack: `make deploy`.

    .venv/bin/python infra/deploy.py [--check] [NAME=VALUE …]

NAME=VALUE is a parameter of template.yaml. It goes before the parameters of samconfig.toml. `--check` deploys nothing,
and `--help` prints this text.
Exit codes: 0, nothing would fail; 1, something would fail, and nothing was built; 2, an argument cannot be read.
"""

import difflib
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import tomllib

import boto3
import botocore.exceptions
import click
from samcli.cli.types import CfnParameterOverridesType
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).parents[1]
SAMCONFIG = ROOT / "samconfig.toml"
# The lowest versions, and what each tool is for. SAM builds Rust without a beta flag from 1.156 on. The AWS CLI has
# every call of this file since November 2022. A deployment works without those of OPTIONAL.
TOOLS = {
    "sam": (["sam", "--version"], "1.156", "It builds and deploys the stack. Install aws-sam-cli with pip or brew."),
    "cargo-lambda": (["cargo", "lambda", "--version"], "1.0", "SAM builds the function with it. Install cargo-lambda with pip or brew."),
    "aws": (["aws", "--version"], "1.27", "Without it, the account is not checked."),
    "terraform": (["terraform", "version"], "1.6", "Only the Terraform module needs it."),
}
OPTIONAL = {"aws", "terraform"}
# Whole numbers and decimal ones. Python also reads 1e3, 0.7_5 and digits of other scripts. CloudFormation's conditions
# compare texts, so that 00 is not 0 there.
WHOLE = re.compile(r"0|[1-9][0-9]*")
DECIMAL = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?")
# Two parameters each, the first one at most as large as the second one. An empty one is no bound. The function does not
# start with other values.
PAIRS = [("ConfirmMinutes", "WindowMinutes"), ("MinShards", "MaxShards"), ("MaxShards", "MaxShardsCeiling")]
# Lambda's error names the number that it keeps for functions without a reservation: 10 in a new account. Its guide says
# 100 for an account with the default quota.
ALWAYS_UNRESERVED, USUALLY_UNRESERVED = 10, 100
# A stack in one of these states takes no update, and was never complete.
STUCK = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"}


class Report:
    """What was checked, a line each."""

    def __init__(self):
        self.failures = 0

    def ok(self, text):
        print(f"  ok     {text}")

    def note(self, text):
        print(f"  note   {text}")

    def fails(self, text):
        self.failures += 1
        print(f"  FAILS  {text}")


class Refused(Exception):
    """The AWS CLI ended with an error."""


def aws(*arguments, place):
    """The answer of the AWS CLI. `place`: the options of the account and region."""
    command = ["aws", *arguments, *place, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"AWS_PAGER": ""})
    if done.returncode:
        raise Refused(" ".join(done.stderr.split()))
    return json.loads(done.stdout or "{}")


def version(command):
    """The version that a tool prints, or None if the tool is missing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found[0] if done.returncode == 0 and found else None


def numbers(text):
    return [int(part) for part in text.split(".")]


def check_tools(report):
    """Compares the installed tools with the lowest versions. Returns whether the AWS CLI can be asked."""
    found = {name: version(command) for name, (command, _, _) in TOOLS.items()}
    for name, (_, lowest, use) in TOOLS.items():
        say = report.note if name in OPTIONAL else report.fails
        if found[name] is None:
            say(f"{name} is not installed; {lowest} or newer is needed. {use}")
        elif numbers(found[name]) < numbers(lowest):
            say(f"{name} is {found[name]}; {lowest} or newer is needed. {use}")
        else:
            report.ok(f"{name} {found[name]}")
    return found["aws"] is not None


def misfit(declared, value):
    """What a parameter must be, if this value is not that: as CloudFormation compares them, minutes later."""
    if "AllowedValues" in declared:
        allowed = [str(each) for each in declared["AllowedValues"]]
        return None if value in allowed else f"one of {', '.join(allowed)}"
    if declared["Type"] == "Number":
        low, high = declared.get("MinValue", "any"), declared.get("MaxValue", "any")
        # CloudFormation's numbers may have fractions, which fail later: in a resource, in a schedule, or at the start.
        is_whole = isinstance(declared["Default"], int)
        fits = (WHOLE if is_whole else DECIMAL).fullmatch(value)
        fits = fits and declared.get("MinValue", float(value)) <= float(value) <= declared.get("MaxValue", float(value))
        kind = "a whole number" if is_whole else "a number"
        return None if fits else f"{kind} from {low} to {high}" if high != "any" else f"{kind} of at least {low}"
    pattern = declared.get("AllowedPattern", ".*").removeprefix("^").removesuffix("$")
    fits = re.fullmatch(pattern, value) and len(value) <= declared.get("MaxLength", len(value))
    return None if fits else declared.get("ConstraintDescription", "a line of text")


@functools.cache
def template():
    return yaml_parse((ROOT / "template.yaml").read_text())


def configured():
    """What samconfig.toml says of a deployment, and its parameters, both as SAM reads them."""
    try:
        default = tomllib.loads(SAMCONFIG.read_text()).get("default", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        bad_input(f"samconfig.toml cannot be read: {error}")
    deploy = default.get("global", {}).get("parameters", {}) | default.get("deploy", {}).get("parameters", {})
    if not deploy.get("stack_name"):
        bad_input('samconfig.toml has no stack_name under [default.deploy.parameters]. Add stack_name = "unthrottle".')
    try:
        return deploy, CfnParameterOverridesType().convert(deploy.get("parameter_overrides"), None, None)
    except click.ClickException as error:
        bad_input(f"samconfig.toml: parameter_overrides: {error.format_message()}")


def given(arguments, declared):
    """The parameters of these arguments. Ends the process if one cannot be read."""
    parameters, names = {}, list(declared)
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            bad_input(f"{argument} is no parameter. Write NAME=VALUE, such as Mode=heal.")
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            bad_input(f"{name} is no parameter of template.yaml.{f' Did you mean {near[0]}?' if near else ''}")
        if must_be := misfit(declared[name], value):
            bad_input(f"{name}={value}: must be {must_be}")
        parameters[name] = value
    return parameters


def bad_input(text):
    print(text, file=sys.stderr)
    sys.exit(2)


def region_of(deploy):
    """(The region to deploy to, the region that `sam deploy` alone takes: it does not read AWS_REGION)."""
    try:
        # AWS_DEFAULT_REGION, or the region of the profile: as SAM looks for it.
        of_session = boto3.Session(profile_name=deploy.get("profile")).region_name
    except botocore.exceptions.BotoCoreError:
        # There is no such profile, or its file cannot be read. The account's check says so.
        of_session = os.environ.get("AWS_DEFAULT_REGION")
    of_sam = deploy.get("region") or of_session
    return deploy.get("region") or os.environ.get("AWS_REGION") or of_sam, of_sam


def parameters_of(stack):
    return {each["ParameterKey"]: each.get("ParameterValue") for each in stack.get("Parameters", [])}


class Account:
    """What the account has, as far as the AWS CLI may read it."""

    def __init__(self, report, region, profile, name):
        self.report, self.region, self.name = report, region, name
        self.place = ["--region", region, *(["--profile", profile] if profile else [])]

    def ask(self, what, *arguments):
        """An answer; None where the call is denied, which is no reason against the deployment."""
        try:
            return aws(*arguments, place=self.place)
        except Refused as error:
            self.report.note(f"{what} was not checked: {error}")
            return None

    def stack(self):
        """The stack with this name; None if there is none; an empty one if AWS does not say."""
        try:
            (stack,) = aws("cloudformation", "describe-stacks", "--stack-name", self.name, place=self.place)["Stacks"]
        except Refused as error:
            if "does not exist" in str(error):
                return None
            self.report.note(f"The stack {self.name} was not checked: {error}")
            return {}
        return stack

    def check_stack(self, stack, asked, wanted):
        status = stack["StackStatus"]
        order = f"--stack-name {self.name} {' '.join(self.place)}"
        if status in STUCK:
            delete = f"aws cloudformation delete-stack {order}"
            self.report.fails(f"The stack {self.name} is {status} and takes no update. Read its events, then delete it: {delete}")
        elif status == "UPDATE_ROLLBACK_FAILED":
            # A deletion would lose the subscribers of the topic, the log and the dead letters.
            roll_back = f"aws cloudformation continue-update-rollback {order}"
            self.report.fails(
                f"The stack {self.name} is {status} and takes no update. Mend what its events name, then end the rollback: {roll_back}"
            )
        elif status.endswith("_IN_PROGRESS"):
            self.report.fails(f"The stack {self.name} is {status}. Wait until that ends.")
        else:
            self.report.ok(f"The stack {self.name} is {status}.")
        has = parameters_of(stack)
        if "Mode" in wanted and has.get("Mode") not in (None, wanted["Mode"]) and "Mode" not in asked:
            self.report.fails(
                f"The stack runs with Mode={has['Mode']}, and samconfig.toml has Mode={wanted['Mode']}. "
                f"Say which: make deploy PARAMETERS=Mode={has['Mode']}"
            )

    def check_names(self, wanted):
        """A role of the stack that is there already, before the stack is."""
        roles = [f"unthrottle-{self.region}"]
        if wanted["SweepTrigger"] == "schedule":
            roles.append(f"unthrottle-sweep-{self.region}")
        for role in roles:
            try:
                aws("iam", "get-role", "--role-name", role, place=self.place)
            except Refused as error:
                if "NoSuchEntity" not in str(error):
                    self.report.note(f"The role {role} was not checked: {error}")
                continue
            self.report.fails(
                f"The role {role} exists, and the stack creates one with this name. An account and region has room for one "
                "unthrottle. Remove the other one, or delete the role if nothing uses it."
            )

    def check_concurrency(self, wanted, had):
        """`had`: what the stack has reserved so far, which comes back."""
        settings = self.ask("The concurrency of Lambda", "lambda", "get-account-settings")
        if settings is None:
            return
        unreserved = settings["AccountLimit"]["UnreservedConcurrentExecutions"] + had
        left = unreserved - wanted
        if wanted == 0:
            more = " Its quota has room for ReservedConcurrency=5." if unreserved >= USUALLY_UNRESERVED + 5 else ""
            self.report.ok(f"ReservedConcurrency=0 reserves nothing. The account has {unreserved} unreserved runs.{more}")
        elif left < ALWAYS_UNRESERVED:
            self.report.fails(
                f"ReservedConcurrency={wanted} would leave {left} of {unreserved} unreserved runs, and Lambda keeps at least "
                f"{ALWAYS_UNRESERVED}. Set ReservedConcurrency=0, or ask Service Quotas for more concurrent executions."
            )
        elif left < USUALLY_UNRESERVED:
            self.report.note(
                f"ReservedConcurrency={wanted} would leave {left} unreserved runs. Lambda keeps {USUALLY_UNRESERVED} in most "
                "accounts, and may refuse. ReservedConcurrency=0 never fails."
            )
        else:
            self.report.ok(f"ReservedConcurrency={wanted} leaves {left} unreserved runs.")

    def check_queries(self, this_account_only):
        """Asks Metrics Insights once what the fleet alarms will ask, which costs $0.01 for a thousand streams."""
        query, clause = fleet_query()
        if this_account_only != "allow":
            sinks = self.ask("Whether this is a monitoring account", "oam", "list-sinks")
            if sinks and sinks.get("Items"):
                self.report.note("This is a monitoring account of CloudWatch. ThisAccountOnly=allow leaves out the streams of linked accounts.")
            return
        now = int(time.time())
        queries = json.dumps([{"Id": "refused", "Expression": query.replace("${Where}", clause), "Period": 60}])
        times = ["--start-time", str(now - 600), "--end-time", str(now)]
        try:
            aws("cloudwatch", "get-metric-data", "--metric-data-queries", queries, *times, place=self.place)
        except Refused as error:
            if "ValidationError" in str(error):
                self.report.fails(f"CloudWatch refuses the query of the fleet alarms: {error} Set ThisAccountOnly=deny.")
            else:
                self.report.note(f"The query of the fleet alarms was not checked: {error}")
            return
        self.report.ok("CloudWatch takes the query of the fleet alarms.")


def fleet_query():
    """The query of the first fleet alarm, and its clause for this account, as template.yaml has them."""
    alarm = template()["Resources"]["WriteThrottledAlarm"]["Properties"]
    query, places = alarm["Metrics"][0]["Expression"]["Fn::Sub"]
    return query, places["Where"]["Fn::If"][1]


def check_account(account, asked, parameters, defaults):
    """Checks the account. Returns the parameters that a stack in it has; None if AWS does not say."""
    report = account.report
    try:
        caller = aws("sts", "get-caller-identity", place=account.place)
    except Refused as error:
        report.fails(f"AWS takes no call: {error} Sign in (aws sso login), or set AWS_PROFILE.")
        return None
    report.ok(f"Account {caller['Account']}, region {account.region}, as {caller['Arn']}")
    stack, had = account.stack(), None
    # A change set that was not executed leaves a stack without resources.
    if stack is None or stack.get("StackStatus") == "REVIEW_IN_PROGRESS":
        had = {}
        account.check_names(defaults | parameters)
    elif stack:
        account.check_stack(stack, asked, parameters)
        had = parameters_of(stack)
    # A parameter that is not given keeps the value that the stack has.
    merged = defaults | (had or {}) | parameters
    account.check_concurrency(int(merged["ReservedConcurrency"]), int((had or {}).get("ReservedConcurrency") or 0))
    account.check_queries(merged["ThisAccountOnly"])
    return had


def check_pairs(report, parameters, had, defaults):
    """Compares the parameters that bound one another. `had`: those of the stack; None if they are not known."""
    merged = defaults | (had or {}) | parameters
    for low, high in PAIRS:
        if not merged[low] or not merged[high] or float(merged[low]) <= float(merged[high]):
            continue
        text = f"{low}={merged[low]} must be at most {high}={merged[high]}"
        if had is not None or {low, high} <= set(parameters):
            report.fails(f"{text}. Set both to values that fit.")
        else:
            report.note(f"{text}, unless a stack has other values: its own were not read.")


def check(report, arguments):
    """Checks everything. Returns the region, the parameters to give, and the architecture to build for."""
    declared = template()["Parameters"]
    defaults = {name: str(each["Default"]) for name, each in declared.items()}
    deploy, overrides = configured()
    given([f"{name}={value}" for name, value in overrides.items()], declared)
    asked = given(arguments, declared)
    parameters = overrides | asked
    name, (region, of_sam) = deploy["stack_name"], region_of(deploy)
    print(f"Before a deployment of the stack {name}:")
    has_aws, had = check_tools(report), None
    if region is None:
        report.fails("No region is set. Set AWS_DEFAULT_REGION, or add region to samconfig.toml.")
    else:
        if of_sam != region:
            takes = f"takes {of_sam}" if of_sam else "has no region then"
            report.note(f"AWS_REGION is {region}, which `sam deploy` alone does not read: it {takes}. Set AWS_DEFAULT_REGION, too.")
        if has_aws:
            account = Account(report, region, deploy.get("profile"), name)
            had = check_account(account, asked, parameters, defaults)
    check_pairs(report, parameters, had, defaults)
    # A stack keeps its architecture, as each parameter that is not given.
    return region, parameters, (defaults | (had or {}) | parameters)["Architecture"]


def quoted(value):
    """A value as SAM takes it: it reads a bare one up to a space, and takes no empty one."""
    return value if re.fullmatch(r"[\w.:/@+-]+", value) else json.dumps(value, ensure_ascii=False)


def main(arguments):
    if {"--help", "-h"} & set(arguments):
        print(__doc__.strip())
        return 0
    only_check = "--check" in arguments
    report = Report()
    region, parameters, architecture = check(report, [each for each in arguments if each != "--check"])
    if report.failures:
        things = "1 thing" if report.failures == 1 else f"{report.failures} things"
        print(f"{things} would fail. Nothing was built or deployed.")
        return 1
    if only_check:
        print("Nothing that was checked would fail.")
        return 0
    build = ["sam", "build", "--parameter-overrides", f"Architecture={architecture}"]
    deploy = ["sam", "deploy", "--region", region]
    if parameters:
        deploy += ["--parameter-overrides", *(f"{name}={quoted(value)}" for name, value in parameters.items())]
    for command in [build, deploy]:
        if code := subprocess.run(command, cwd=ROOT).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
