"""The pages: their links, their length, the parameters that they name, and the cost that they state."""

import json
import re
import tomllib

import pytest
from mirror import Stack, snake
from template import ACTIONS, FLEET, OWN, ROOT, SOURCES, TEMPLATE, in_rust, of_type, rust, watched

PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")), *sorted((ROOT / "docs").glob("*.md"))]
GUIDES = sorted((ROOT / "infra").rglob("README.md"))
IDS = {"ids": lambda path: str(path.relative_to(ROOT))}


def prose(path):
    """The lines of a page that are neither a table nor code: (number, line)."""
    fenced = after_blank = code = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            # A block of code begins after an empty line; what hangs under a point of a list does not.
            code = line.startswith("    ") and (code or after_blank)
            if not code and not line.startswith("|"):
                yield number, line
        after_blank = not line.strip() or code and after_blank
    assert not fenced, f"{path}: a block of code has no end"


def headings(path):
    """The anchors of a page, as GitHub makes them of its headings."""
    anchors = {}
    for _, line in prose(path):
        if heading := re.match(r"#+ +(.*?)\s*$", line):
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
            anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            times = anchors[anchor] = anchors.get(anchor, -1) + 1
            yield f"{anchor}-{times}" if times else anchor


def links(path):
    """The links of a page, in prose and in tables."""
    text = re.sub(r"^(```.*?^```|    .*?)$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`(?!\])", "", text))


@pytest.mark.parametrize("page", [*PAGES, *GUIDES], **IDS)
def test_every_link_and_every_anchor_leads_somewhere(page):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        target, _, anchor = link.partition("#")
        target = (page.parent / target).resolve() if target else page
        assert target.is_relative_to(ROOT) and target.exists(), link
        if anchor:
            assert anchor in headings(target), link


def test_a_dead_link_and_a_dead_anchor_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A `code`, and more\n\n[one](#a-code-and-more) and [`two`](other.md#x)\n\n    [none](of.it)\n\n```\n[none](of.it)\n```\n")
    assert links(page) == ["#a-code-and-more", "other.md#x"]
    assert list(headings(page)) == ["a-code-and-more"]


def test_every_page_can_be_reached_from_the_readme():
    reached, queue = set(), [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            queue += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if ":" not in link and link[0] != "#"]
    assert reached >= {*PAGES, *GUIDES}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 8192


@pytest.mark.parametrize("page", PAGES, **IDS)
def test_no_line_of_prose_is_longer_than_120_columns(page):
    assert [(number, len(line)) for number, line in prose(page) if len(line) > 120] == []


@pytest.mark.parametrize("page", PAGES, **IDS)
def test_no_line_of_prose_looks_like_a_command(page):
    # Other tests run what stands behind four spaces.
    assert [line for _, line in prose(page) if re.match(r"    (unthrottle|make|cargo|\{)", line)] == []


@pytest.mark.parametrize("page", PAGES, **IDS)
def test_every_path_that_a_page_names_is_there(page):
    # From the root, or from the folder that a list in docs/architecture.md is about.
    folders = [ROOT, ROOT / "src", ROOT / "src/aws", ROOT / "crates/core/src", ROOT / "crates/lab/src", ROOT / "crates/writer/src", ROOT / "infra/guardrails"]
    named = re.findall(r"`([\w/-][\w./-]*(?:/|\.(?:rs|py|json|yaml|toml|sh|guard)))`", page.read_text())
    named = [name for name in named if "SITUATION__CODE" not in name]
    assert [name for name in named if not any((folder / name).exists() for folder in folders)] == []


@pytest.mark.parametrize("page", PAGES, **IDS)
def test_every_row_of_a_table_has_as_many_cells_as_its_first(page):
    rows = []
    for number, line in enumerate([*page.read_text().splitlines(), ""], 1):
        if line.startswith("|"):
            rows.append((number, line.count("|")))
        elif rows:
            assert [row for row in rows if row[1] != rows[0][1]] == []
            rows = []


# The settings.

CONFIGURATION = (ROOT / "docs/configuration.md").read_text()


def test_every_parameter_stands_in_the_configuration_and_no_other():
    named = set(re.findall(r"`([A-Z][A-Za-z]*[a-z][A-Za-z]*)`", CONFIGURATION))
    assert named == set(TEMPLATE["Parameters"])


def test_every_parameter_of_a_setting_stands_beside_it():
    variables = TEMPLATE["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    rows = {cells[0].strip("`"): cells[1:] for cells in table_rows(CONFIGURATION)}
    for name, parameter in TEMPLATE["Parameters"].items():
        assert rows[name][0] == f"`{snake(name)}`", name
        if setting := re.match(r"(UNTHROTTLE_\w+)\.", parameter["Description"]):
            assert setting[1] in variables and rows[name][1].startswith(f"`{setting[1]}`"), name
        else:
            assert rows[name][1] == str(parameter["Default"]), name


def test_every_variable_of_terraform_stands_in_the_configuration():
    names = re.findall(r'^variable "(\w+)"', (ROOT / "infra/terraform/variables.tf").read_text(), re.MULTILINE)
    assert len(names) > 20 and [name for name in names if f"`{name}`" not in CONFIGURATION] == []


def table_rows(text):
    """The cells of each row of each table."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]


def test_every_tag_of_a_stream_stands_in_the_configuration():
    tags = [tag for path in SOURCES for tag in re.findall(r'const \w+_TAG: &str = "(unthrottle\.[^"]+)";', path.read_text())]
    rows = [cells[0] for cells in table_rows(CONFIGURATION) if cells[0].startswith("`unthrottle.")]
    assert sorted(rows) == sorted(f"`{tag}`" for tag in tags)


# The stack.

OPERATIONS = (ROOT / "docs/operations.md").read_text()


def test_every_output_stands_in_the_operations():
    assert [name for name in TEMPLATE["Outputs"] if f"`{name}`" not in OPERATIONS] == []


def test_every_action_of_the_role_stands_in_the_security_page():
    page = (ROOT / "SECURITY.md").read_text().split("## What it may not do")[0]
    in_words = {"DisableEnhancedMonitoring", "EnableEnhancedMonitoring", "TagResource", "PutMetricData", "Publish", "Decrypt", "GenerateDataKey"}
    in_words |= {"CreateLogStream", "PutLogEvents", "SendMessage"}
    names = {action.split(":")[1] for action in ACTIONS}
    assert in_words <= names and [name for name in sorted(names - in_words) if f"`{name}`" not in page] == []


def test_the_security_page_says_whose_key_encrypts_the_topic():
    page = " ".join((ROOT / "SECURITY.md").read_text().split())
    assert "The topic is encrypted with a key of the stack, with a key of yours, or with AWS's (`TopicKey`)." in page
    (key,) = [topic["KmsMasterKeyId"] for topic in of_type("AWS::SNS::Topic").values()]
    assert key["Fn::If"][0] == "HasOwnTopicKey" and key["Fn::If"][1] == {"Fn::GetAtt": ["OwnTopicKey", "Arn"]}, key
    assert {"own", "aws"} <= set(re.findall(r"\b(own|aws|arn)\b", TEMPLATE["Parameters"]["TopicKey"]["AllowedPattern"]))


# The memory.


def test_every_word_of_the_memory_stands_in_the_architecture():
    said = in_rust(r"//! \| word \| meaning \|\n(.*?)\n\n")
    words = {word for cell in re.findall(r"^//! \| (`.*?) \|", said, re.MULTILINE) for word in re.findall(r"`(\w+)=", cell)}
    page = (ROOT / "docs/architecture.md").read_text()
    rows = [cells[0] for cells in table_rows(page)]
    assert len(words) > 15 and words == {word for cell in rows for word in re.findall(r"`(\w+)=", cell)}


def test_the_seconds_of_an_intent_and_of_an_observation_are_those_of_the_code():
    page = " ".join((ROOT / "docs/architecture.md").read_text().split())
    void = in_rust(r"const INTENT_VOID_AFTER: TimeDelta = TimeDelta::seconds\((\d+)\);")
    assert f"An intent is void after {void} s" in page
    good_for = in_rust(r"const \w*GOOD_FOR: Duration = Duration::from_secs\((\d+)\);")
    assert f"The observation must be younger than {good_for} s" in page


# The stack's own parameters, and whose default is which.


def test_the_page_says_whose_default_is_which():
    section = OPERATIONS.split("### Whose default is which")[1].split("\n### ")[0]
    rows = {cells[0].strip("`"): cells[1:] for cells in table_rows(section) if cells[0].startswith("`")}
    settings = json.loads((ROOT / "infra/settings.json").read_text())
    variables = TEMPLATE["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    overrides = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]["parameter_overrides"]
    of_samconfig = dict(pair.split("=") for pair in overrides.split())
    differ = {}
    for variable, setting in settings.items():
        name = variables[variable].get("Ref")
        if "stack" in setting or name in of_samconfig:
            stack = str(TEMPLATE["Parameters"][name]["Default"])
            differ[name] = [setting["default"] or "no limit", stack, of_samconfig.get(name, "")]
    assert rows == differ and len(differ) == 3


# The cost, in USD a month.

STREAMS = [0, 10, 1_000, 10_000]
PRICES = json.loads((ROOT / "infra/prices.json").read_text())
STACK_PRICES = json.loads((ROOT / "infra/stack-prices.json").read_text())
ALARM, METRIC = STACK_PRICES["alarm_metric_month"], PRICES["metric_month"]
HOURS_A_MONTH = 730
SWEEPS = HOURS_A_MONTH * 60 // TEMPLATE["Parameters"]["SweepMinutes"]["Default"]
# A sweep with nothing to check, as its row says. Its log was measured by tests/fleet/function.rs; Lambda adds three lines.
SWEEP_SECONDS, LINES_OF_LAMBDA = 0.5, 400
FLEET_TEST = (ROOT / "tests/fleet/function.rs").read_text()


def is_made(logical):
    """Whether the default parameters make a resource."""
    condition = TEMPLATE["Resources"][logical].get("Condition")
    return condition is None or Stack({}).holds(condition)


def cost(beginning):
    (cells,) = [cells for cells in table_rows(OPERATIONS) if cells[0].startswith(beginning)]
    return [float(cell.replace(",", "")) for cell in cells[1:]]


def a_sweep(sweeps):
    """What this number of sweeps with nothing to check costs."""
    (bytes_of_ours,) = re.findall(r"const LOG_BYTES_OF_AN_EMPTY_SWEEP: usize = ([\d_]+);", FLEET_TEST)
    log = sweeps * (int(bytes_of_ours.replace("_", "")) + LINES_OF_LAMBDA) / 1e9 * STACK_PRICES["log_gb"]
    gigabytes = TEMPLATE["Parameters"]["MemoryMiB"]["Default"] / 1024
    runs = sweeps * SWEEP_SECONDS * gigabytes * STACK_PRICES["lambda_arm64_gb_second"]
    return log + runs + sweeps * STACK_PRICES["lambda_requests_million"] / 1e6


def rows_of_the_cost():
    """Each row of the table: its beginning, and its value for a number of streams."""
    fleet = sum(is_made(alarm) for alarm in FLEET)
    own = sum(len(watched(alarm)) for alarm in OWN if is_made(alarm))
    keys = sum(is_made(key) for key in of_type("AWS::KMS::Key"))
    (metrics,) = re.findall(r"const METRICS_OF_AN_EMPTY_SWEEP: \[&str; (\d+)\]", FLEET_TEST)
    assert (fleet, own, len([alarm for alarm in OWN if is_made(alarm)]), keys, metrics) == (3, 10, 9, 1, "3")
    assert [dashboard for dashboard in of_type("AWS::CloudWatch::Dashboard") if is_made(dashboard)] == []
    return {
        "three fleet alarms, $0.10 a stream each": lambda n: fleet * ALARM * n,
        "nine alarms on unthrottle itself, of ten metrics, $0.10 each": lambda n: own * ALARM,
        "the key of the topic": lambda n: keys * STACK_PRICES["kms_key_month"],
        "three metrics that every sweep writes, $0.30 each": lambda n: int(metrics) * METRIC,
        f"{SWEEPS:,} sweeps with nothing to check, of half a second": lambda n: a_sweep(SWEEPS),
    }


def test_the_cost_of_the_stack_is_that_of_its_resources_and_of_the_prices():
    rows = rows_of_the_cost()
    for beginning, value in rows.items():
        assert cost(beginning) == [round(value(n), 2) for n in STREAMS], beginning
    assert cost("together") == [round(sum(round(value(n), 2) for value in rows.values()), 2) for n in STREAMS]


def test_without_streams_it_costs_under_three_dollars():
    assert sum(value(0) for value in rows_of_the_cost().values()) < 3


def test_the_switches_change_the_cost_as_the_page_says():
    section = OPERATIONS.split("These parameters change the cost:")[1].split("\n## ")[0]
    said = {cells[0]: cells[1].split()[0] for cells in table_rows(section) if cells[0].startswith("`")}
    key = STACK_PRICES["kms_key_month"]
    assert {name: float(amount) for name, amount in said.items()} == {
        "`ReadersBehindAlarm=deny`": ALARM,
        "`TopicKey=aws`": key,
        "`TopicKey=` the ARN of your key": key,
        "`Dashboard=allow`": STACK_PRICES["dashboard_month"],
        "`SweepMinutes=5`": round(a_sweep(SWEEPS) - a_sweep(SWEEPS // 5), 2),
    }
    calls = SWEEPS * len(FLEET)
    assert f"read the fleet alarms {calls:,} times a month" in " ".join(OPERATIONS.split())
    assert f"Beyond these they are ${calls * STACK_PRICES['api_requests_thousand'] / 1000:.2f}." in " ".join(OPERATIONS.split())


def test_the_descriptions_of_parameters_have_the_prices():
    about = {name: " ".join(declared["Description"].split()) for name, declared in TEMPLATE["Parameters"].items()}
    assert f"${ALARM:.2f} for each stream and month" in about["ReadersBehindAlarm"]
    assert f"${STACK_PRICES['kms_key_month']:.2f} a month" in about["TopicKey"]
    assert f"${STACK_PRICES['dashboard_month']:.2f} a month" in about["Dashboard"]
    assert f"${STACK_PRICES['data_events_hundred_thousand']:.2f} for 100,000 calls" in about["DataEventTrail"]


def test_a_check_reads_as_many_metrics_as_the_page_says():
    traffic = rust("read/traffic.rs", "observe/traffic.rs").read_text()
    sizes = [int(n) for n in re.findall(r"const (?:SERIES|AUTO_FIXES): \[.*; (\d+)\] =", traffic)]
    # And reverts, and the changes and the added shards of the fleet.
    assert len(sizes) == 2 and sum(sizes) + 3 == 18
    words = " ".join(OPERATIONS.split())
    read = STACK_PRICES["metrics_read_thousand"]
    assert f"${18 * read:.2f} for 1,000 checks (a check reads 18 metrics, " in words
    a_month = SWEEPS * 18 * read / 1000
    assert f"This is ${a_month:.2f} a month for a stream that stays in alarm, and is checked by the sweep of every minute." in words


def test_a_stream_that_heals_has_four_metrics_of_its_own():
    # AutoFix by stream, and by stream and action; Healed and TimeToHeal by stream.
    assert f"${4 * METRIC:.2f} for each stream while it is changed and heals (four metrics" in " ".join(OPERATIONS.split())


def test_the_list_of_all_commands_has_each_command():
    source = (ROOT / "crates/cli/src/lib.rs").read_text()
    (variants,) = re.findall(r"\nenum Command \{\n(.*?)\n\}\n", source, re.DOTALL)
    commands = {name.lower() for name in re.findall(r"^    (\w+)\(?[\w:<>]*\)?,$", variants, re.MULTILINE)}
    listed = OPERATIONS.split("\n## The command line\n")[1].split("\n## ")[0]
    missing = {name for name in commands if not re.search(rf"^    unthrottle {name} |`unthrottle {name}`", listed, re.MULTILINE)}
    assert len(commands) > 20 and missing == set()


def default_of(name):
    return float(TEMPLATE["Parameters"][name]["Default"])


README = " ".join((ROOT / "README.md").read_text().split())


def test_the_readme_has_the_same_cost_in_round_figures():
    none, small, large, _ = cost("together")
    assert none < 3 and "costs under $3 a month without streams" in README
    assert f"about ${small:.0f} for 10 streams and ${round(large, -1):.0f} for 1,000, in its first year" in README
    rotations = STACK_PRICES["kms_rotations_billed"] * STACK_PRICES["kms_rotation_month"]
    assert of_type("AWS::KMS::Key")["OwnTopicKey"]["EnableKeyRotation"] is True
    assert f"From the third year AWS bills ${rotations:.0f} more for the topic's key." in README
    # The shards that a stream may have by default, at the price that a document uses.
    shards, price = default_of("MaxShards"), PRICES["shard_hour"]
    assert f"{shards:.0f} shards cost about ${round(shards * price * HOURS_A_MONTH, -2):,.0f} a month" in README


def test_the_readme_has_the_most_that_a_day_adds_to_the_bill():
    added, an_hour = default_of("MaxAddedShards"), default_of("MaxHourlyCost")
    # The switch to on-demand mode is not among the shards, and no parameter bounds the number of streams that switch.
    assert TEMPLATE["Parameters"]["OnDemand"]["Default"] == "allow"
    most = f"With `OnDemand=deny`, **the most that a day adds to the bill** is ${added * PRICES['shard_hour'] * 24:.0f} for shards, and $"
    assert f"It is for {added:.0f} shards (`MaxAddedShards`) that are all added" in README
    assert most in README and "With `OnDemand=allow`, the default, a day has no such figure" in README
    assert f"adds at most ${an_hour * 24:.0f} a day at the load of that moment (`MaxHourlyCost`)" in README
    assert f"makes a stream cost more than ${an_hour:.0f} an hour" in README
    assert f"and to {added:.0f} added shards in 24 hours" in README
