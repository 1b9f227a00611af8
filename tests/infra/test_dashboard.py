"""The dashboard: one file, for SAM and Terraform, that shows what the code sends and nothing else."""

import itertools
import json
import re

import boto3
import pytest
from generate import DASHBOARD, with_dashboard
from metrics import DIMENSIONS, NAMESPACE, SENT, SOURCE
from moto import mock_aws
from template import ALARMS, DEPLOYED, ROOT, TEMPLATE, functions, rust, watched
from terraform import terraform

TEXT = DASHBOARD.read_text()
WHERE = " WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()"
PLACES = {"Region": "eu-central-1", "Where": WHERE, "FunctionName": "stack-Function-1a2B", "LogGroup": "/stack/log-Group_1.2", "QueueName": "stack-Queue-1a2B"}
WIDGETS = json.loads(TEXT)["widgets"]
TITLES = [widget["properties"].get("title") for widget in WIDGETS]
BODY = DEPLOYED["Resources"]["FleetDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]


def fn_sub(text):
    """As CloudFormation renders it: in a CloudFormation that this project did not write."""
    template = {"Resources": {"Any": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"Body": {"Value": {"Fn::Sub": [text, PLACES]}}}}
    with mock_aws():
        cloudformation = boto3.client("cloudformation", "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
        cloudformation.create_stack(StackName="any", TemplateBody=json.dumps(template))
        return cloudformation.describe_stacks(StackName="any")["Stacks"][0]["Outputs"][0]["OutputValue"]


def templatefile(path, folder):
    """As Terraform renders it. In an empty folder, where it needs no provider."""
    command = f"jsonencode(templatefile({json.dumps(str(path))}, {json.dumps(PLACES)}))\n"
    code, said = terraform("console", folder=folder, stdin=command)
    assert code == 0, said
    # A string in quotes, with JSON's own string in it.
    return json.loads(json.loads(said))


def test_in_cloudformation_it_is_json_with_nothing_left_to_fill_in():
    rendered = fn_sub(TEXT)
    assert set(re.findall(r"\$\{(.*?)\}", TEXT)) == set(PLACES) and "${" not in rendered
    assert {p["region"] for w in json.loads(rendered)["widgets"] if "region" in (p := w["properties"])} == {PLACES["Region"]}
    assert f"SOURCE '{PLACES['LogGroup']}' | " in rendered


def test_terraform_reads_nothing_more_in_it_than_cloudformation():
    # `$${`, `%{` and `%%{` mean something to Terraform, `${!` to CloudFormation.
    assert not re.search(r"\$\$|%+\{|\$\{!", TEXT)


def test_in_terraform_it_is_the_same(tmp_path):
    assert templatefile(DASHBOARD, tmp_path) == fn_sub(TEXT)


def test_the_template_has_the_file():
    text, values = BODY
    assert text == TEXT, "make generate"
    source = (ROOT / "template.yaml").read_text()
    assert with_dashboard(source) == source
    assert values == {
        "Region": {"Ref": "AWS::Region"},
        "Where": {"Fn::If": ["AsksThisAccountOnly", WHERE, ""]},
        "FunctionName": {"Ref": "Function"},
        "LogGroup": {"Ref": "LogGroup"},
        "QueueName": {"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]},
    }
    # One list of names for all regions of an account.
    assert TEMPLATE["Resources"]["FleetDashboard"]["Properties"]["DashboardName"] == {"Fn::Sub": "unthrottle-${AWS::Region}"}


def test_no_widget_is_over_another_or_beside_the_grid():
    taken = {}
    for title, widget in zip(TITLES, WIDGETS):
        assert widget["x"] + widget["width"] <= 24, title
        columns = range(widget["x"], widget["x"] + widget["width"])
        for cell in itertools.product(columns, range(widget["y"], widget["y"] + widget["height"])):
            assert taken.setdefault(cell, title) == title
    # And there is no hole in it.
    assert len(taken) == 24 * max(widget["y"] + widget["height"] for widget in WIDGETS)


def test_it_is_within_cloudwatchs_limits():
    assert len(WIDGETS) <= 500
    for widget in WIDGETS:
        metrics = widget["properties"].get("metrics", [])
        assert len(metrics) <= 500
        expressions = [m[-1]["expression"] for m in metrics if isinstance(m[-1], dict) and "expression" in m[-1]]
        # One query by Metrics Insights in a widget, and no expression over 1,024 characters.
        assert sum(e.startswith("SELECT") for e in expressions) <= 1
        assert all(len(e) <= 1024 for e in expressions)
        ids = [m[-1]["id"] for m in metrics if isinstance(m[-1], dict) and "id" in m[-1]]
        assert len(ids) == len(set(ids)) and all(re.fullmatch("[a-z][A-Za-z0-9_]*", i) for i in ids)
    # No limit of a dashboard's own is documented; a template given by hand to CloudFormation has 51,200 bytes.
    assert len(TEXT) < 16_000


def test_every_widget_has_a_title_of_its_own():
    titles = [title for title, widget in zip(TITLES, WIDGETS) if widget["type"] != "text"]
    assert all(titles) and len(titles) == len(set(titles))
    (text,) = [widget["properties"]["markdown"] for widget in WIDGETS if widget["type"] == "text"]
    # Short enough for a phone, and it comes first.
    assert WIDGETS[0]["type"] == "text" and len(text) < 1000
    assert "`unthrottle pause`" in text and "`unthrottle restore STREAM --yes`" in text
    for quoted in re.findall(r"\*([A-Z][^*]+)\*", text.replace("**", "")):
        assert any(title and title.startswith(quoted.rstrip("?")) for title in TITLES), quoted


def test_it_says_which_graphs_also_show_linked_accounts():
    """CloudWatch documents the filter of a search for monitoring accounts only, so no search has it."""
    assert ":aws.AccountId" not in TEXT
    searched = [title for title, widget in zip(TITLES, WIDGETS) if "SEARCH(" in str(widget["properties"].get("metrics"))]
    (said,) = re.findall(r"In a monitoring account, the graphs of (.*?) also show linked accounts\.", WIDGETS[0]["properties"]["markdown"])
    words = re.split(", | and ", said)
    assert len(words) == len(searched) and all(any(word.split()[0] in title.lower() for title in searched) for word in words), (words, searched)
    pages = [TEMPLATE["Parameters"]["ThisAccountOnly"]["Description"], (ROOT / "infra/terraform/variables.tf").read_text()]
    says = "CloudWatch documents the filter of a search for monitoring accounts only. The dashboard's graphs from a search leave it out, and also show linked accounts."
    assert all(says in " ".join(page.split()) for page in pages)
    assert f"graphs from a search ({', '.join(words)}) also show linked accounts" in " ".join((ROOT / "docs/operations.md").read_text().split())


def shown():
    """What of ours the dashboard shows: each metric with its dimensions."""
    for widget in WIDGETS:
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == "Unthrottle":
                names = [part for part in metric[2:] if isinstance(part, str)]
                yield metric[1], frozenset(names[::2])
            elif isinstance(metric[0], dict):
                found = re.findall(r"\{Unthrottle,?([\w,]*)\} MetricName=\"(\w+)\"", metric[0]["expression"])
                assert found or "Unthrottle" not in metric[0]["expression"]
                yield from ((name, frozenset(dimensions.split(","))) for dimensions, name in found)


def test_what_the_code_sends_is_read_right():
    assert NAMESPACE == "Unthrottle"
    # Those that count by a call: in total, by stream, and a change by its action, too.
    (sets,) = [body for name, body in functions(SOURCE) if name == "dimension_sets"]
    assert re.findall(r"vec!\[([^\]]*)\]", sets) in [['stream, ("Action", action)', "", "stream"], ["", "stream", 'stream, ("Action", self.action)']]
    names = {name for name, _ in SENT}
    assert names == {
        *("AutoFix", "ShardsAdded", "Reverted", "Healed", "TimeToHeal", "Looked", "Held", "NeedsPerson"),
        *("ForesightRight", "ForesightWrong"),
        *("DurationMs", "AwsCalls", "ColdStart"),
        *("SweepLooked", "SweepFailed", "SweepLeft", "Untold"),
    }
    # Six functions write a line each, with these dimensions in it; one writes what could not be counted by a call.
    assert SOURCE.count("= emf(") == 7 and len(re.findall(r"= emf\(now, &json!\(\[\[", SOURCE)) == 6


def test_it_shows_no_metric_of_ours_that_the_code_does_not_send():
    assert set(shown()) <= SENT


def test_it_shows_every_metric_that_the_code_sends():
    assert {name for name, _ in shown()} == {name for name, _ in SENT}


def test_it_shows_what_was_asked_for():
    assert {("AutoFix", frozenset({"StreamName", "Action"})), ("Held", frozenset({"Reason"})), ("Healed", frozenset())} <= set(shown())
    for metric in ["WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "IncomingRecords"]:
        assert metric in TEXT
    lambda_metrics = set(re.findall(r'"AWS/Lambda", "(\w+)", "FunctionName", "\$\{FunctionName\}"', TEXT))
    assert {"Errors", "Throttles", "Duration", "ConcurrentExecutions", "AsyncEventsDropped"} <= lambda_metrics
    assert '"AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${QueueName}"' in TEXT


def test_the_fleets_queries_are_the_fleet_alarms_with_fewer_streams():
    queries = {m[0]["expression"] for w in WIDGETS for m in w["properties"].get("metrics", []) if "SELECT" in str(m[0])}
    alarms = [a["Properties"] for a in DEPLOYED["Resources"].values() if a["Type"] == "AWS::CloudWatch::Alarm"]
    asked = [a["Metrics"][0]["Expression"]["Fn::Sub"] for a in alarms if "Expression" in a.get("Metrics", [{}])[0]]
    assert queries == {query.replace("LIMIT 500", "LIMIT 20") for query, _ in asked} and len(queries) == 3
    # Both put the same clause in the same place.
    assert all(places == {"Where": BODY[1]["Where"]} for _, places in asked)


def fields_of(struct, path):
    """The fields of a serialised struct, by name, with their types."""
    (body,) = re.findall(rf"struct {struct} \{{\n(.*?)\n\}}", path.read_text(), re.DOTALL)
    return dict(re.findall(r"^    pub(?:\([^)]*\))? (\w+): (.*),$", body, re.MULTILINE))


BOOTSTRAP = rust("bin/bootstrap.rs").read_text()
LOG = {
    "decision": fields_of("Document", rust("core/src/report/document.rs")),
    "decision.stream": fields_of("StreamDocument", rust("core/src/report/document.rs")),
    "sweep": fields_of("SweepDocument", rust("core/src/report/sweep.rs")),
    # As tracing's JSON writes them, from the names in bootstrap.rs.
    "fields": dict.fromkeys(["message", *re.findall(r"tracing::error!\(requestId = [\w.]+, (\w+), %(\w+),", BOOTSTRAP)[0]]),
}


@pytest.mark.parametrize("query", [w["properties"]["query"] for w in WIDGETS if w["type"] == "log"])
def test_the_log_has_every_field_that_a_table_names(query):
    assert query.startswith("SOURCE '${LogGroup}' | ")
    named = re.findall(r"\b((?:decision|sweep|fields)(?:\.\w+)+)", query)
    assert named
    for field in named:
        parent, _, name = field.rpartition(".")
        assert name in LOG[parent], field
    # The lines that have them.
    assert '"decision": document' in (source := rust("core/src/report/mod.rs").read_text()) and '"sweep": sweep' in source
    assert ".json().without_time()" in BOOTSTRAP
    # What is not a field is an alias, made before it is used.
    rest = re.sub(r"\b(?:decision|sweep|fields)\.[\w.]+( as \w+)?", "", query)
    assert set(re.findall(r"[a-z]\w+", rest.split("|", 1)[1])) <= {"filter", "ispresent", "fields", "timestamp", "sort", "desc", "limit", "level"}


def test_the_output_page_names_every_metric_that_the_code_sends_with_its_dimensions_and_no_other():
    page = (ROOT / "docs/output.md").read_text()
    (section,) = re.findall(r"^## Metrics$(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    assert f"`{NAMESPACE}`" in section
    said = set()
    for name, dimensions in re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", section, re.MULTILINE):
        said |= {(name, frozenset(re.findall(r"`(\w+)`", each))) for each in dimensions.split(";")}
    assert said == SENT and {dimension for _, those in said for dimension in those} == DIMENSIONS
    # And no alarm watches another.
    by_alarms = {name for alarm in ALARMS for namespace, name, _ in watched(alarm) if namespace == "Unthrottle"}
    assert by_alarms <= {name for name, _ in SENT}
