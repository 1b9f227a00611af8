"""The pages: their links, their length, the parameters that they name, and the cost that they state."""

import json
import re

import pytest
from metrics import lines
from template import ACTIONS, ALARMS, FLEET, OWN, ROOT, SOURCES, TEMPLATE, in_rust, of_type, rust

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
        snake = re.sub(r"(?<!^)(?=[A-Z][a-z])", "_", name).lower()
        assert rows[name][0] == f"`{snake}`", name
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


# The cost, in USD a month.

STREAMS = [10, 1_000, 10_000]
ALARM, METRIC, KEY, DASHBOARD = 0.10, 0.30, 1.00, 3.00


def cost(beginning):
    (cells,) = [cells for cells in table_rows(OPERATIONS) if cells[0].startswith(beginning)]
    return [float(cell.replace(",", "")) for cell in cells[1:]]


def test_the_alarms_are_as_many_as_the_page_says():
    assert cost("three fleet alarms, $0.10 a stream each") == [round(len(FLEET) * ALARM * n, 2) for n in STREAMS]
    assert cost("nine alarms on unthrottle itself, $0.10 each") == [round(len(OWN) * ALARM, 2)] * 3
    assert (len(FLEET), len(OWN), len(ALARMS)) == (3, 9, 12)


def test_there_is_one_key_and_one_dashboard():
    assert cost("the key of the topic") == [KEY * len(of_type("AWS::KMS::Key"))] * 3
    assert cost("the dashboard") == [DASHBOARD * len(of_type("AWS::CloudWatch::Dashboard"))] * 3


def test_a_sweep_writes_as_many_metrics_as_the_page_says():
    written = {frozenset(names): len(sets) for names, sets in lines()}
    # An invocation's, in total and by reason; and a sweep's own.
    of_an_invocation, of_a_sweep = (next(n for n in written if name in n) for name in ("ColdStart", "SweepLooked"))
    assert (len(of_an_invocation), written[of_an_invocation], len(of_a_sweep), written[of_a_sweep]) == (6, 2, 3, 1)
    every_sweep = len(of_an_invocation) * 2 + len(of_a_sweep)
    assert cost("the metrics that every sweep writes, $0.30 each") == [round(every_sweep * METRIC, 2)] * 3


def test_a_check_reads_as_many_metrics_as_the_page_says():
    traffic = rust("read/traffic.rs", "observe/traffic.rs").read_text()
    sizes = [int(n) for n in re.findall(r"const (?:SERIES|AUTO_FIXES): \[.*; (\d+)\] =", traffic)]
    # And reverts, and the changes and the added shards of the fleet.
    assert len(sizes) == 2 and sum(sizes) + 3 == 18
    words = " ".join(OPERATIONS.split())
    assert f"${18 * 0.01:.2f} for 1,000 checks (a check reads 18 metrics, " in words
    a_month = 30 * 24 * 12 * 18 * 0.01 / 1000
    assert f"This is ${a_month:.1f}0 a month for a stream that stays in alarm" in words


def test_a_stream_that_heals_has_four_metrics_of_its_own():
    # AutoFix by stream, and by stream and action; Healed and TimeToHeal by stream.
    assert f"${4 * METRIC:.2f} for each stream while it is changed and heals (four metrics" in " ".join(OPERATIONS.split())


def test_the_readme_has_the_same_cost_in_round_figures():
    rows = [cells for cells in table_rows(OPERATIONS) if re.fullmatch(r"[\d.,]+", cells[-1])]
    assert len(rows) == 5
    small, large = (sum(float(row[column].replace(",", "")) for row in rows) for column in (1, 2))
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"about ${small:.0f} a month for 10 streams and ${round(large, -1):.0f} for 1,000" in readme
    # The shards that a stream may have by default, at the price that a document uses.
    shards = TEMPLATE["Parameters"]["MaxShards"]["Default"]
    price = json.loads((ROOT / "infra/prices.json").read_text())["shard_hour"]
    assert f"{shards} shards cost about ${round(shards * price * 730, -2):,.0f} a month" in readme
