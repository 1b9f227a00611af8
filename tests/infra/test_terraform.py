"""The Terraform module deploys what template.yaml deploys: the same settings, and for them the same resources.

The tests are in one file because all of them compare the same two deployments, which are read once.
"""

import copy
import fnmatch
import graphlib
import json
import re
import shutil
import subprocess

import pytest
from aws_provider_schema import used
from generate import with_tables
from mirror import Stack, in_our_words, snake
from template import DEPLOYED, SOURCES, TEMPLATE, in_rust
from terraform import (
    DASHBOARD,
    META,
    MODULE,
    ROOT,
    SCHEMA,
    all_complaints,
    bare,
    complaints,
    evaluate,
    is_block,
    load,
    misfits,
    named,
    of_kind,
    order,
    parse,
    terraform,
    without_meta,
)

PARAMETERS = TEMPLATE["Parameters"]
BLOCKS = parse(MODULE)
VARIABLES = named(BLOCKS, "variable")
RESOURCES = [(t, name, body) for t, found in of_kind(BLOCKS, "resource").items() for name, body in found.items()]
EXAMPLES = sorted(path for path in (MODULE / "examples").iterdir() if path.is_dir())
# Terraform's own: where the package is, and what CloudFormation calls the stack's name.
OF_THE_MODULE = {"package", "s3_bucket", "s3_key", "name", "tags"}
# The template takes a fraction for these, too, and the function does not start with it. Terraform says so at once.
WHOLE = {name for name, p in PARAMETERS.items() if p["Type"] == "Number" and isinstance(p["Default"], int)}


# Written as Terraform and its provider want it.


def guide_of_plans():
    (block,) = re.findall(r"```hcl\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.DOTALL)
    return block


def test_the_plan_in_the_documents_is_formatted_as_terraform_does_it():
    assert terraform("fmt", "-", folder=MODULE, stdin=guide_of_plans()) == (0, guide_of_plans())


def test_the_plan_in_the_documents_is_whole():
    text = guide_of_plans()
    blocks = load(text)
    assert list(all_complaints(blocks)) == []
    defined = {
        f"{prefix}{its_type}.{name}"
        for kind, prefix in [("resource", ""), ("data", "data.")]
        for its_type, found in of_kind(blocks, kind).items()
        for name in found
    }
    used = {*re.findall(r"(?<![\w.])((?:data\.)?aws_\w+\.\w+)", text)}
    assert used == {"aws_iam_role.plan", "aws_iam_role_policy.plan", "data.aws_caller_identity.current"}
    assert used <= defined
    # The rest is of the module: an output, and the name of the group as the module makes it by default.
    assert {*re.findall(r"module\.unthrottle\.(\w+)", text)} <= set(named(BLOCKS, "output"))
    schedule = of_kind(blocks, "resource")["aws_scheduler_schedule"]["orders"]
    group = bare(of_kind(BLOCKS, "resource")["aws_scheduler_schedule_group"]["sweep"]["name"])
    assert bare(schedule["group_name"]) == group.replace("${var.name}", bare(VARIABLES["name"]["default"]))


def test_the_plans_role_may_be_taken_by_scheduler_and_may_only_invoke_the_function():
    resources = of_kind(load(guide_of_plans()), "resource")
    trust = resources["aws_iam_role"]["plan"]["assume_role_policy"]
    assert 'Service = "scheduler.amazonaws.com"' in trust and '"sts:AssumeRole"' in trust
    assert '"aws:SourceAccount" = data.aws_caller_identity.current.account_id' in trust
    rights = resources["aws_iam_role_policy"]["plan"]["policy"]
    assert re.findall(r'"(\w+:\w+)"', rights) == ["lambda:InvokeFunction"]
    assert "module.unthrottle.function_arn" in rights


def test_it_is_formatted():
    code, said = terraform("fmt", "-check", "-diff", "-recursive", str(MODULE), folder=MODULE)
    assert code == 0, said


@pytest.mark.parametrize("folder", [MODULE, *EXAMPLES], ids=lambda folder: folder.name)
def test_the_provider_has_every_argument_and_misses_none(folder):
    blocks = parse(folder)
    assert list(all_complaints(blocks)) == []
    known = {"terraform", "provider", "module", "variable", "locals", "resource", "data", "import", "output"}
    assert set(blocks) <= known
    for block in blocks["terraform"]:
        (providers,) = block["required_providers"]
        assert providers["aws"]["source"] == '"hashicorp/aws"'
        # The schema that all this is checked against is of the lowest version that may be used.
        lowest, next_major = re.fullmatch(r">= ([\d.]+), < (\d+)", bare(providers["aws"]["version"])).groups()
        assert f"provider {lowest}." in SCHEMA["about"] and next_major == "8"
        assert bare(block["required_version"]) == ">= 1.6"


def paths(body, schema, path=()):
    """Every argument and block of a body: (where it is, its name, whether the provider wants it)."""
    for name, value in body.items():
        if name == "__is_block__" or (not path and name in META):
            continue
        if is_block(value):
            block = schema["blocks"][name]
            yield path, name, block["needed"]
            for i, each in enumerate(value):
                yield from paths(each, block, (*path, name, i))
        else:
            yield path, name, name in schema.get("required", [])


@pytest.mark.parametrize(("its_type", "name", "body"), RESOURCES, ids=lambda each: each if isinstance(each, str) else "")
def test_a_name_that_the_provider_does_not_know_and_one_left_out_are_found(its_type, name, body):
    schema = SCHEMA["resource"][its_type]
    for path, argument, needed in paths(body, schema):
        for changed in ["renamed", "left out", "turned"]:
            mutant = copy.deepcopy(without_meta(body))
            place = mutant
            for step in path:
                place = place[step]
            value = place.pop(argument)
            if changed == "renamed":
                place[f"{argument}s"] = value
            elif changed == "turned":
                # A block as an argument, an argument as a block.
                place[argument] = '"text"' if is_block(value) else [{"__is_block__": True}]
            found = list(complaints(mutant, schema, name))
            assert bool(found) == (changed != "left out" or needed), (changed, path, argument)


def test_the_schema_kept_here_is_of_what_is_used():
    assert sorted((kind, name) for kind in ["provider", "resource", "data"] for name in SCHEMA[kind]) == used()


def test_a_block_that_may_stand_once_stands_once():
    (body,) = [body for its_type, _, body in RESOURCES if its_type == "aws_scheduler_schedule"]
    twice = {**without_meta(body), "target": body["target"] * 2}
    assert list(complaints(twice, SCHEMA["resource"]["aws_scheduler_schedule"], "sweep")) == ["sweep: target may stand once"]


@pytest.mark.parametrize(
    ("argument", "value"), [("threshold", "much"), ("alarm_actions", "topic"), ("dimensions", ["x"]), ("actions_enabled", "yes"), ("namespace", [])]
)
def test_a_value_that_is_not_of_the_providers_type_is_found(argument, value):
    assert list(misfits({argument: value}, SCHEMA["resource"]["aws_cloudwatch_metric_alarm"], "alarm"))


def test_every_value_is_of_the_providers_type():
    made = set()
    # Two settings that exclude each other's resources.
    for given in [all_different(), {"DataEventTrail": "allow", "Dashboard": "allow"}]:
        resources, _ = evaluate(variables_of(given) | {"tags": {"team": "streams"}})
        made |= set(resources)
        for address, body in resources.items():
            assert list(misfits(body, SCHEMA["resource"][address.split(".")[0]], address)) == []
    assert len(made) == len(RESOURCES)


def test_no_resource_waits_for_itself():
    assert len(order(BLOCKS)) == len(RESOURCES)
    # The function is told of this alarm, which would then need the function.
    changed = copy.deepcopy(BLOCKS)
    alarm = of_kind(changed, "resource")["aws_cloudwatch_metric_alarm"]["write_throttled"]
    alarm["ok_actions"] = ["${aws_lambda_function.unthrottle.arn}"]
    with pytest.raises(graphlib.CycleError):
        order(changed)


# The variables are the template's parameters.


def test_there_is_a_variable_for_every_parameter_and_no_other():
    assert set(VARIABLES) == {snake(name) for name in PARAMETERS} | OF_THE_MODULE
    assert all("default" in variable and variable["nullable"] is False for variable in VARIABLES.values())


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_variable_has_its_parameters_type_default_and_description(name):
    declared, variable = PARAMETERS[name], VARIABLES[snake(name)]
    number = declared["Type"] == "Number"
    assert variable["type"] == ("number" if number else "string")
    assert variable["default"] == (declared["Default"] if number else json.dumps(declared["Default"]))
    assert json.loads(variable["description"]) == in_our_words(declared["Description"])


KEY = "arn:aws:kms:eu-central-1:123456789012:key/1a2b3c4d-0000-1111-2222-333344445555"
NO_KEYS = ["alias/aws/sns", KEY.replace(":key/", ":alias/"), KEY.replace("123456789012", "1234"), KEY + " ", "x"]
TEXTS = {
    "LogKmsKeyArn": ["", KEY, KEY.replace("aws:", "aws-cn:"), *NO_KEYS],
    "TopicKey": ["own", "aws", KEY, "", "Own", *NO_KEYS],
    "RolePath": ["/", "/team/", "/a/b_c/", "", "team", "/team", "team/", "/a b/", "/" + "a" * 510 + "/", "/" + "a" * 511 + "/"],
    "PermissionsBoundaryArn": [
        *["", "arn:aws:iam::123456789012:policy/b", "arn:aws-us-gov:iam::aws:policy/team/PowerUserAccess"],
        *["arn:aws:iam::123456789012:role/b", "arn:aws:iam::1:policy/b", "arn:aws:iam::123456789012:policy/", "b"],
    ],
    "MaxShardsCeiling": ["", "1", "9", "10", "100", "9999", "10000", "0", "01", "10001", "99999", "-1", "1.5", "x", " 1", "1 ", "1\n"],
    "MaxHourlyCost": [
        *["", "0.01", "0.010", "0.1", "0.25", "1", "1.00", "2.5", "99.999", "999999.99", "1000000"],
        *["0", "0.0", "0.009", "-1", "+1", ".5", "01", "1.", "1,5", "1e3", "$5", " 5", "1000001", "1000000.5", "9999999", "none", "5\n"],
    ],
    "NotificationEmail": ["", "a@b.c", "ops@example.com", "ops@example", "@b.c", "a b@c.d", "a@b@c.d", "a@b.c\n", "x"],
    "PricesFile": ["", "/var/task/prices.json"],
}


def accepts(declared, value):
    """Whether CloudFormation takes a value, which it compares as a text or a number."""
    if "AllowedValues" in declared:
        return value in declared["AllowedValues"]
    if "AllowedPattern" in declared:
        fits = re.fullmatch(declared["AllowedPattern"].removeprefix("^").removesuffix("$"), value)
        return bool(fits) and len(value) <= declared.get("MaxLength", len(value))
    if declared["Type"] == "Number":
        return declared.get("MinValue", value) <= value <= declared.get("MaxValue", value)
    return True


def cases():
    for name, declared in PARAMETERS.items():
        if "AllowedValues" in declared:
            values = [*declared["AllowedValues"], "" if declared["Type"] == "String" else 2]
            values += [str(value).upper() for value in declared["AllowedValues"] if str(value).upper() != str(value)]
        elif declared["Type"] == "Number":
            ends = [declared[end] for end in ("MinValue", "MaxValue") if end in declared]
            step = 1 if name in WHOLE else 0.001
            values = [declared["Default"], *ends, *(end + by for end in ends for by in (-step, step)), declared["Default"] + 0.5, -1]
        else:
            values = TEXTS[name]
        for value in dict.fromkeys(values):
            takes = accepts(declared, value) and not (name in WHOLE and value != int(value))
            yield snake(name), value, takes


def test_a_variable_takes_what_its_parameter_takes_and_nothing_else(tmp_path):
    variables = (MODULE / "variables.tf").read_text()
    (tmp_path / "variables.tf").write_text(variables)
    names = [("unthrottle", True), ("a" * 30, True), ("a" * 31, False), ("Unthrottle", False), ("1a", False), ("a_b", False), ("", False)]
    taken, refused = 0, 0
    runs = []
    for i, (name, value, takes) in enumerate([*cases(), *(("name", *each) for each in names)]):
        given = json.dumps(value)
        expected = "" if takes else f"  expect_failures = [var.{name}]\n"
        runs.append(f'run "case_{i}" {{\n  command = plan\n  variables {{\n    package = "x"\n    {name} = {given}\n  }}\n{expected}}}\n')
        taken, refused = taken + takes, refused + (not takes)
    (tmp_path / "values.tftest.hcl").write_text("".join(runs))
    code, said = terraform("test", folder=tmp_path)
    assert code == 0 and f"{taken + refused} passed, 0 failed" in said, said
    assert taken > 110 and refused > 110


# For the same settings, the same resources.

OTHER = {
    "MaxShardsCeiling": "9000",
    "MaxHourlyCost": "12.5",
    "PricesFile": "/var/task/prices.json",
    "NotificationEmail": "ops@example.com",
    "LogKmsKeyArn": KEY,
    "TopicKey": KEY.replace("1a2b", "2b3c"),
    "RolePath": "/team/",
    "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
    "TargetUtilization": 0.6,
    "Floor": 0.02,
    "RestoreAfterHours": 7,
    "ConfirmMinutes": 3,
    "WindowMinutes": 8,
    "SweepMinutes": 29,
}


def all_different():
    """Every parameter another value than its default, and no two numbers the same, so that none can stand for another."""
    given = {}
    for i, (name, declared) in enumerate(PARAMETERS.items()):
        if name in OTHER:
            given[name] = OTHER[name]
        elif "AllowedValues" in declared:
            given[name] = next(value for value in reversed(declared["AllowedValues"]) if value != declared["Default"])
        else:
            given[name] = declared["MinValue"] + 9 + i
        assert accepts(declared, given[name]) and given[name] != declared["Default"], name
    numbers = [str(value) for value in given.values() if value != "allow" and value != "deny"]
    assert len(set(numbers)) == len(numbers)
    return given


SETTINGS = {
    "the defaults": {},
    "every setting another": all_different(),
    "a trail, and shard-level metrics": {"DataEventTrail": "allow", "Diagnose": "allow"},
    "no on-demand mode": {"OnDemand": "deny"},
    "an address": {"NotificationEmail": "ops@example.com"},
    "a reservation": {"ReservedConcurrency": 5},
    "only tagged streams": {"Scope": "tagged"},
    "roles with a path and a boundary": {"RolePath": "/team/", "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/b"},
    "the cheapest": {"ReadersBehindAlarm": "deny", "TopicKey": "aws"},
    "a key for each": {"TopicKey": KEY, "LogKmsKeyArn": KEY},
    "a dashboard of all accounts": {"Dashboard": "allow", "ThisAccountOnly": "deny"},
    "a rule": {"SweepTrigger": "rule"},
    "a rule every nine minutes": {"SweepTrigger": "rule", "SweepMinutes": 9},
    "a ceiling": {"MaxShardsCeiling": "500", "MaxShards": 200},
    "another pace": {"SweepMinutes": 9},
}


def variables_of(given):
    return {snake(name): value for name, value in given.items()}


def decoded(body):
    """A resource with its JSON read, and its environment as the texts that the provider makes of it."""
    found = copy.deepcopy(body)
    for name in ["policy", "assume_role_policy", "event_pattern"]:
        if name in found:
            found[name] = json.loads(found[name])
    for target in [found, *found.get("target", [])]:
        if "input" in target:
            target["input"] = json.loads(target["input"])
    for environment in found.get("environment", []):
        environment["variables"] = {k: v if isinstance(v, str) else json.dumps(v) for k, v in environment["variables"].items()}
    return {name: value for name, value in found.items() if value is not None}


def differences(given, changed=()):
    stack = Stack(given)
    wanted = stack.resources()
    resources, outputs = evaluate(variables_of(given), changed)
    made = {address: decoded(body) for address, body in resources.items()}
    # Its body is one file for both, and has a test of its own.
    if dashboard := made.get("aws_cloudwatch_dashboard.unthrottle"):
        assert json.loads(dashboard.pop("dashboard_body"))
    found = [f"{address}: only the template has it" for address in wanted.keys() - made.keys()]
    found += [f"{address}: only the module has it" for address in made.keys() - wanted.keys()]
    for address in wanted.keys() & made.keys():
        for name in wanted[address].keys() | made[address].keys():
            ours, theirs = made[address].get(name), wanted[address].get(name)
            if ours != theirs:
                found.append(f"{address}.{name}: {json.dumps(ours)}, and the template has {json.dumps(theirs)}")
    if outputs != stack.outputs():
        found.append(f"outputs: {outputs}, and the template has {stack.outputs()}")
    return sorted(found)


@pytest.mark.parametrize("given", SETTINGS.values(), ids=SETTINGS)
def test_the_same_settings_make_the_same_resources_and_outputs(given):
    assert differences(given) == []


WITH_TRAIL = {"DataEventTrail": "allow", "Diagnose": "allow"}


@pytest.mark.parametrize(
    ("old", "new", "given"),
    [
        ('"kinesis:SplitShard",', '"kinesis:MergeShards",', WITH_TRAIL),
        ("Condition = local.in_this_region", "", WITH_TRAIL),
        ('aws:RequestedRegion" = local.region', 'aws:RequestedRegion" = "*"', WITH_TRAIL),
        ("Resource = local.streams", 'Resource = "*"', WITH_TRAIL),
        ('watches_readers = var.readers_behind_alarm == "allow"', "watches_readers = true", {"ReadersBehindAlarm": "deny"}),
        ("Condition = local.only_tagged", "", {"Scope": "tagged"}),
        ('merge({ "aws:TagKeys" = "false" }, local.is_tagged)', "local.is_tagged", {"Scope": "tagged"}),
        ("permissions_boundary = local.boundary", "", {"PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/b"}),
        ('this_account_only == "allow"', 'this_account_only == "deny"', WITH_TRAIL),
        ("insufficient_data_actions = [aws_sns_topic.unthrottle.arn]", "", WITH_TRAIL),
        ("one(aws_cloudwatch_event_rule.sweep[*].arn)", '"none"', {"SweepTrigger": "rule"}),
        ('var.diagnose != "allow" ? null :', "", {}),
        ('var.on_demand != "allow"', 'var.diagnose == "allow"', {"OnDemand": "deny"}),
        ('unthrottle.arn}:*"', 'unthrottle.arn}"', WITH_TRAIL),
        ('"aws:SecureTransport" = "false"', '"aws:SecureTransport" = "true"', WITH_TRAIL),
        ("ORDER BY MAX() DESC LIMIT 500", "ORDER BY MAX() DESC", WITH_TRAIL),
        ("evaluation_periods  = var.window_minutes", "evaluation_periods  = var.confirm_minutes", WITH_TRAIL),
        ("period              = 300", "period              = 60", WITH_TRAIL),
        ('"SampleCount"', '"Sum"', WITH_TRAIL),
        ('= "missing"', '= "notBreaching"', WITH_TRAIL),
        ("maximum_retry_attempts = 185", "", WITH_TRAIL),
        ("maximum_retry_attempts       = 2", "maximum_retry_attempts       = 1", WITH_TRAIL),
        ("stay = true, every_minutes = var.sweep_minutes", "stay = true", WITH_TRAIL),
        ("stay = true, every_minutes = var.sweep_minutes", "stay = true", {"SweepTrigger": "rule"}),
        ("rate(${var.sweep_minutes} minutes)", "rate(5 minutes)", {"SweepMinutes": 9}),
        ('{ prefix = "KMS" }', '{ prefix = "K" }', WITH_TRAIL),
        ("        aws_cloudwatch_metric_alarm.read_throttled.arn,\n", "", WITH_TRAIL),
        ("local.watches_readers ? [aws_cloudwatch_metric_alarm.readers_behind[0].alarm_name] : [],", "", WITH_TRAIL),
        ("UNTHROTTLE_MIN_SHARDS            = var.min_shards", "UNTHROTTLE_MIN_SHARDS            = var.max_shards", WITH_TRAIL),
        ('["SubscribeToShard"]', '["SubscribeToShard", "GetRecords"]', WITH_TRAIL),
        ("bucket-owner-full-control", "private", WITH_TRAIL),
        ("restrict_public_buckets = true", "restrict_public_buckets = false", WITH_TRAIL),
        ("one(aws_kms_key.topic[*].arn)", '"alias/aws/sns"', WITH_TRAIL),
        ("tags        = local.stack_tags", "", WITH_TRAIL),
        ('name                 = "unthrottle-${local.region}"', 'name                 = "unthrottle"', WITH_TRAIL),
        ("? -1 : var.reserved_concurrency", "? 0 : var.reserved_concurrency", {"ReservedConcurrency": 0}),
    ],
)
def test_a_module_that_strays_from_the_template_is_found(old, new, given):
    assert differences(given, changed=((old, new),))


def test_what_must_come_first_comes_first():
    told = {f"{t}.{name}": body["depends_on"] for t, name, body in RESOURCES if "depends_on" in body}
    assert {address: [first.strip("${}") for first in before] for address, before in told.items()} == {
        # A role of the template's has its permissions in it.
        "aws_lambda_function.unthrottle": ["aws_iam_role_policy.unthrottle"],
        "aws_scheduler_schedule.sweep": ["aws_iam_role_policy.sweep"],
        "aws_cloudtrail.trail": ["aws_s3_bucket_policy.trail"],
    }
    assert DEPLOYED["Resources"]["Trail"]["DependsOn"] == "TrailBucketPolicy"
    # Nothing is kept from being changed or deleted, and nothing comes from another provider.
    assert not [address for *address, body in RESOURCES if {"lifecycle", "provider", "for_each"} & set(body)]


def test_outputs_are_described_as_in_the_template():
    outputs = {name: json.loads(body["description"]) for name, body in named(BLOCKS, "output").items()}
    assert all(outputs.values())
    for name, output in TEMPLATE["Outputs"].items():
        assert output.get("Description", outputs[snake(name)]) == outputs[snake(name)], name


def test_the_dashboard_is_the_same_file_with_its_placeholders_filled():
    text = DASHBOARD.read_text()
    assert (MODULE / "dashboard.json").read_text() == text, "make generate"
    filled = {
        "Region": "eu-central-1",
        "Where": " WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()",
        "FunctionName": "<aws_lambda_function.unthrottle.function_name>",
        "LogGroup": "<aws_cloudwatch_log_group.unthrottle.name>",
        "QueueName": "<aws_sqs_queue.dead_letters.name>",
    }
    assert set(re.findall(r"[$%]\{([^}]*)\}", text)) <= set(filled)
    resources, _ = evaluate({"dashboard": "allow"})
    for name, value in filled.items():
        text = text.replace(f"${{{name}}}", value)
    assert resources["aws_cloudwatch_dashboard.unthrottle"]["dashboard_body"] == text
    assert json.loads(text)["widgets"]


# A module that a registry takes, or that a `git::` source with `//infra/terraform` names.


def test_the_module_has_the_files_of_the_standard_structure_and_reads_no_file_outside():
    assert {"README.md", "main.tf", "variables.tf", "outputs.tf", "versions.tf"} <= {path.name for path in MODULE.iterdir()}
    for path in MODULE.glob("*.tf"):
        for inside in re.findall(r"\$\{path\.module\}/([^\"]*)", path.read_text()):
            assert ".." not in inside and (MODULE / inside).is_file(), (path.name, inside)
        assert '"../' not in path.read_text(), path.name
    # `git subtree split` leaves the folder alone, with its examples and its page.
    for path in [path for path in MODULE.rglob("*") if path.is_file() and ".terraform" not in str(path.relative_to(MODULE))]:
        for above in re.findall(r"\.\./[\w./-]*", path.read_text()):
            assert (path.parent / above).resolve().is_relative_to(MODULE), (path, above)


def test_terraform_takes_the_module_alone_from_a_git_source(tmp_path):
    # A repository of the folder alone, as a registry has it: no file beside it can be read.
    alone = tmp_path / "module"
    shutil.copytree(MODULE, alone / "infra/terraform", ignore=shutil.ignore_patterns(".terraform*", "examples"))
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in [["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "module"]]:
        subprocess.run([*git, *command], cwd=alone, check=True)
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.tf").write_text(f'module "unthrottle" {{\n  source  = "git::file://{alone}//infra/terraform"\n  package = "x"\n}}\n')
    # `get` installs modules and needs no provider. It then reads the configuration of each.
    code, said = terraform("get", folder=root)
    assert code == 0, said
    (there,) = (root / ".terraform/modules").glob("unthrottle/infra/terraform")
    assert (there / "dashboard.json").read_text() == DASHBOARD.read_text()


def test_the_package_is_a_file_or_an_object():
    by_file, _ = evaluate({})
    by_object, _ = evaluate({"package": "", "s3_bucket": "artifacts", "s3_key": "1.zip"})
    names = ["filename", "s3_bucket", "s3_key"]
    of = lambda resources: [resources["aws_lambda_function.unthrottle"][name] for name in names]  # noqa: E731
    assert of(by_file) == ["package.zip", None, None] and of(by_object) == [None, "artifacts", "1.zip"]


def test_every_resource_that_takes_tags_has_them():
    resources, _ = evaluate({"tags": {"team": "streams"}, "data_event_trail": "allow", "dashboard": "allow"})
    tagged = {address for address, body in resources.items() if (body.get("tags") or {}).get("team") == "streams"}
    takes = {address for address in resources if "tags" in SCHEMA["resource"][address.split(".")[0]].get("optional", {})}
    assert len(tagged) > 20 and tagged == takes


# The examples.


def arguments(module):
    """What an example gives to the module."""
    return {key: value for key, value in module.items() if key not in {"source", "providers", "__is_block__"}}


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_an_example_uses_what_there_is(folder):
    blocks = parse(folder)
    aliases = {bare(body["alias"]) for block in blocks["provider"] for body in block.values() if "alias" in body}
    modules = named(blocks, "module")
    outputs = named(BLOCKS, "output")
    for name, body in modules.items():
        assert (folder / bare(body["source"])).resolve() == MODULE
        given = arguments(body)
        assert set(given) <= set(VARIABLES) and "package" in given
        # A file of the user's: the folder is complete without it. `make lambda` builds one.
        assert given["package"] == "${var.package}"
        named_file = re.search(r"target/lambda/\S+", bare(named(blocks, "variable")["package"]["description"]))[0]
        (built,) = re.findall(r"^lambda:.*: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert fnmatch.fnmatch(named_file, built)
        pages = [(ROOT / page).read_text() for page in ("docs/operations.md", "infra/terraform/README.md")]
        assert all(f"PACKAGE=$PWD/{named_file}" in page and 'terraform apply -var package="$PACKAGE"' in page for page in pages)
        # Each region has a provider of its own, by the module's only name for it.
        if aliases:
            assert body["providers"] == {"aws": f"${{aws.{name}}}"} and name in aliases
    used = re.findall(r"module\.(\w+)\.(\w+)", (folder / "main.tf").read_text())
    assert {name for name, _ in used} == set(modules) and {output for _, output in used} <= set(outputs)


@pytest.mark.parametrize(
    ("name", "body"), [pytest.param(name, body, id=f"{folder.name}-{name}") for folder in EXAMPLES for name, body in named(parse(folder), "module").items()]
)
def test_the_module_takes_the_values_of_an_example(name, body, tmp_path):
    given = arguments(body) | {"package": '"x"'}
    values = "".join(f"{key} = {value if isinstance(value, str) else json.dumps(value)}\n" for key, value in given.items())
    (tmp_path / "variables.tf").write_text((MODULE / "variables.tf").read_text())
    (tmp_path / "values.tftest.hcl").write_text(f'run "{name}" {{\n  command = plan\n  variables {{\n{values}}}\n}}\n')
    code, said = terraform("test", folder=tmp_path)
    assert code == 0 and "1 passed, 0 failed" in said, said


def test_the_sample_of_a_healed_stream_lets_be_what_unthrottle_changes():
    blocks = parse(MODULE / "examples/healed-stream")
    ((its_type, name, body),) = [(t, n, b) for t, found in of_kind(blocks, "resource").items() for n, b in found.items()]
    (lifecycle,) = body["lifecycle"]
    ignored = [each.strip("${}") for each in lifecycle["ignore_changes"]]
    tag = in_rust(r'const TAG: &str = "([^"]+)";')
    assert ignored == ["shard_count", "stream_mode_details", "shard_level_metrics", f'tags["{tag}"]']
    # As docs/operations.md has it.
    assert f"ignore_changes = [{', '.join(ignored)}]" in " ".join((ROOT / "docs/operations.md").read_text().split())
    schema = SCHEMA["resource"]["aws_kinesis_stream"]
    takes = {*schema["required"], *schema["optional"], *schema["blocks"]}
    assert {each.split("[")[0] for each in ignored} <= takes
    # The provider hides the tag in tags_all, too, which default_tags fill.
    (provider,) = blocks["provider"]
    (ignore,) = provider['"aws"']["ignore_tags"]
    assert ignore["keys"] == [f'"{tag}"'] and "default_tags" in provider['"aws"']
    # The stream's own policy is written in tags that the code reads.
    sources = "".join(path.read_text() for path in SOURCES)
    for tag in body["tags"]:
        assert f"= {tag};" in sources, tag
    (imported,) = blocks["import"]
    assert imported["to"] == f"${{{its_type}.{name}}}" and imported["id"] == body["name"]


def test_the_readme_lists_every_variable_and_output():
    readme = (MODULE / "README.md").read_text()
    assert with_tables(readme) == readme, "make generate"
    listed = re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE)
    assert listed == [*VARIABLES, *named(BLOCKS, "output")]


@pytest.mark.parametrize(
    "given, complaint",
    [
        ({}, None),
        ({"confirm_minutes": 5, "window_minutes": 5}, None),
        ({"confirm_minutes": 4, "window_minutes": 3}, "confirm_minutes must be at most window_minutes."),
        ({"min_shards": 100}, None),
        ({"min_shards": 101}, "min_shards must be at most max_shards."),
        ({"max_shards_ceiling": "100"}, None),
        ({"max_shards_ceiling": "99"}, "max_shards_ceiling must be at least max_shards, or empty."),
        ({"package": "", "s3_bucket": "artifacts", "s3_key": "1.zip"}, None),
        ({"package": ""}, "Set package, or s3_bucket and s3_key."),
        ({"package": "", "s3_bucket": "artifacts"}, "Set package, or s3_bucket and s3_key."),
        ({"s3_bucket": "artifacts", "s3_key": "1.zip"}, "Set package, or s3_bucket and s3_key."),
    ],
)
def test_what_one_variable_must_be_because_of_another_is_refused_before_anything_is_made(given, complaint, tmp_path):
    (tmp_path / "variables.tf").write_text((MODULE / "variables.tf").read_text())
    (tmp_path / "given.tfvars.json").write_text(json.dumps({"package": "package.zip"} | given))
    broken = []
    preconditions = named(BLOCKS, "output")["function_arn"]["precondition"]
    assert len(preconditions) == 4
    for rule in preconditions:
        ask = rule["condition"].removeprefix("${").removesuffix("}") + "\n"
        code, said = terraform("console", "-var-file=given.tfvars.json", folder=tmp_path, stdin=ask)
        assert code == 0 and said.strip() in ["true", "false"], said
        if said.strip() == "false":
            broken.append(json.loads(rule["error_message"]))
    assert broken == ([complaint] if complaint else [])
