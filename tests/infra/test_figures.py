"""Every figure of README and docs/operations.md is computed: money from prices and defaults, the rest from the code."""

import re
import sys

import pytest
from template import DEPLOYED, FLEET, OWN, ROOT, TEMPLATE, in_rust, of_type, rust
from test_docs import ALARM, HOURS_A_MONTH, METRIC, PRICES, STACK_PRICES, STREAMS, SWEEPS, cost, default_of, is_made, table_rows

sys.path.insert(0, str(ROOT / "infra"))
from deploy import ALWAYS_UNRESERVED  # noqa: E402

README, OPERATIONS = ((ROOT / name).read_text() for name in ("README.md", "docs/operations.md"))
OUTPUT = (ROOT / "docs/output.md").read_text()
READ, QUERIED = STACK_PRICES["metrics_read_thousand"] / 1000, STACK_PRICES["metrics_queried_thousand"]
# A check reads these. tests/infra/test_docs.py counts them.
METRICS_OF_A_CHECK = 18


def flat(text):
    return " ".join(text.split())


def seconds_of(name, ends):
    """A constant of the code that is a time, in seconds."""
    (unit, number) = re.search(rf"const {name}: \w+ = \w+::(\w+)\(([\d_]+)\);", rust(*ends).read_text()).groups()
    return int(number) * {"from_millis": 0.001, "from_secs": 1, "seconds": 1, "minutes": 60, "hours": 3600}[unit]


def number_of(name):
    """A constant of the code that is a number."""
    return int(in_rust(rf"const {name}: \w+ = (\d+);"))


def seconds_of_find(name):
    return seconds_of(name, ["sweep/find.rs"])


def minute_of_checks():
    """How often a sweep checks a stream whose change is under way, until the sweep of the next minute."""
    return 60 * default_of("SweepMinutes") / seconds_of("AGAIN_EVERY", ["sweep/mod.rs"])


def metrics_by(dimension):
    """The metrics with this dimension alone, as the page of the output lists them."""
    rows = [cells for cells in table_rows(OUTPUT) if len(cells) == 4 and cells[1] in ("count", "seconds", "milliseconds")]
    return sum(f"`{dimension}`" in [part.strip() for part in cells[2].split(";")] for cells in rows)


def of_the_readme():
    """The sentences with money."""
    small, large = cost("together")[1:3]
    added, unit = default_of("MaxAddedShards"), PRICES["put_units_million"]
    deny = added * PRICES["shard_hour"] * 24
    # A full shard takes its records, of 25 KB at most: larger ones fill it by their bytes, with fewer units.
    (records,) = {int(n.replace("_", "")) for n in re.findall(r"WRITE_RECORDS_A_SECOND: u64 = ([\d_]+);", rust("rules/capacity.rs").read_text())}
    full = added * records * 86_400 * unit / 1e6
    yield f"costs under $3 a month without streams, about ${small:.0f} for 10 streams and ${round(large, -1):.0f} for 1,000"
    yield f"bills ${STACK_PRICES['kms_rotations_billed'] * STACK_PRICES['kms_rotation_month']:.0f} more for the topic's key"
    yield f"most of it: ${len(FLEET) * ALARM:.2f} for each stream"
    yield f"is ${deny:.0f} for shards, and ${unit:.3f} for each million records that are then accepted (at most ${full:.0f} if all {added:.0f} are full)."
    yield f"adds at most ${default_of('MaxHourlyCost') * 24:.0f} a day at the load"
    yield f"cost more than ${default_of('MaxHourlyCost'):.0f} an hour"
    yield f"{default_of('MaxShards'):.0f} shards cost about ${round(default_of('MaxShards') * PRICES['shard_hour'] * HOURS_A_MONTH, -2):,.0f} a month"
    # The output of the demo: shards, and the records that they took and will take.
    (served, of_seconds, offered) = (12_240, 60, 300)
    for part in (f"{offered} records of 10 KiB a second for {of_seconds} s", f"{served:,} records served", "Changed 2 → 4 shards"):
        assert part in README, part
    before, after = (
        shards * PRICES["shard_hour"] + records * 3600 * PRICES["put_units_million"] / 1e6
        for shards, records in ((2, served / of_seconds), (4, offered))
    )
    yield f"About ${before:.4f} → ${after:.4f} an hour (+${(after - before) * HOURS_A_MONTH:.0f} a month)"


def of_operations():
    """The sentences with money."""
    own = cost("nine alarms on unthrottle itself")[0] / ALARM
    assert own == 10
    yield f"This query costs ${QUERIED:.2f} for a thousand streams"
    yield f"three fleet alarms, ${ALARM:.2f} a stream each"
    yield f"nine alarms on unthrottle itself, of ten metrics, ${ALARM:.2f} each"
    yield f"three metrics that every sweep writes, ${METRIC:.2f} each"
    beyond = SWEEPS * len(FLEET) * STACK_PRICES["api_requests_thousand"] / 1000
    yield f"Beyond these they are ${beyond:.2f}."
    yield f"the ${PRICES['put_units_million']:.3f} for each million records in README is for records of up to 25 KB."
    yield f"${1000 * METRICS_OF_A_CHECK * READ:.2f} for 1,000 checks (a check reads {METRICS_OF_A_CHECK} metrics"
    yield f"This is ${SWEEPS * METRICS_OF_A_CHECK * READ:.2f} a month for a stream that stays in alarm"
    reasons = metrics_by("Reason")
    yield f"${METRIC:.2f} to ${reasons * METRIC:.2f} a month for each code that occurs, and ${METRIC:.2f} for each total"
    yield f"${4 * METRIC:.2f} for each stream while it is changed and heals (four metrics of its own)"
    looks = HOURS_A_MONTH * 60 / number_of("LOOKS_AHEAD_EVERY")
    yield f"${looks * METRICS_OF_A_CHECK * READ:.2f} for each stream with the tag `unthrottle.foresight`"
    yield f"${looks / HOURS_A_MONTH * 24 * METRICS_OF_A_CHECK * READ:.2f} a day for each stream with planned shards"
    series = int(in_rust(r"const OF_THE_PAST: \[&str; (\d+)\]"))
    reads = HOURS_A_MONTH / number_of("PAST_GOOD_FOR_HOURS")
    yield f"adds ${series * reads * READ:.2f} in each container"
    yield f"${STACK_PRICES['data_events_hundred_thousand']:.2f} for 100,000 data events"
    calls = 1000 * HOURS_A_MONTH * 3600
    yield f"1,000 calls a second are about ${round(calls * STACK_PRICES['data_events_hundred_thousand'] / 1e5, -2):,.0f} a month"
    yield f"${QUERIED:.2f} for 1,000 streams in each query"
    without, full = (2 * QUERIED * HOURS_A_MONTH * 3600 / seconds_of_find(name) for name in ("ASK_WITHOUT_ALARM_EVERY", "ASK_FOR_FULL_ALARM_EVERY"))
    yield f"Two queries every five minutes are about ${without:.0f} a month for 1,000 streams"
    yield f"two queries every 30 minutes are about ${full:.0f}."


@pytest.mark.parametrize(("page", "sentences"), [(README, of_the_readme), (OPERATIONS, of_operations)], ids=["README", "operations"])
def test_every_sum_of_money_is_computed_from_prices_and_defaults(page, sentences):
    rest = flat(page)
    for sentence in sentences():
        assert rest.count(sentence) == 1, sentence
        rest = rest.replace(sentence, "")
    left = [rest[max(0, found.start() - 60) : found.end() + 20] for found in re.finditer(r"\$\d", rest)]
    assert left == [], "no test computes these"


def test_the_key_costs_more_after_its_first_rotations():
    assert of_type("AWS::KMS::Key")["OwnTopicKey"]["EnableKeyRotation"] is True
    year, rotation = STACK_PRICES["kms_key_month"], STACK_PRICES["kms_rotation_month"]
    assert STACK_PRICES["kms_rotations_billed"] == 2
    assert f"the key costs {year + rotation:.2f} in its second year, and {year + 2 * rotation:.2f} from its third." in flat(OPERATIONS)


def points_after(words):
    """The points of the list after the paragraph with these words."""
    after = OPERATIONS.split(words)[1].split("\n\n")[1]
    return len(re.findall(r"^- ", after, re.MULTILINE))


def of_the_code():
    """The sentences of docs/operations.md with a figure of the code, of the template or of AWS's prices."""
    words = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 9: "nine", 10: "ten"}
    a_second = 1 / seconds_of("PACE", ["sweep/mod.rs"])
    yield f"The sweep checks {words[a_second]} streams a second"
    yield f"at about {60 * a_second:.0f} streams in a minute"
    yield f"checked again every {seconds_of('AGAIN_EVERY', ['sweep/mod.rs'])} seconds"
    yield f"the sweep checks {words[minute_of_checks()]} times as often"
    yield f"is checked by the sweep of every {'minute' if default_of('SweepMinutes') == 1 else 'sweep'}"
    yield f"**The sweep**, every {'minute' if default_of('SweepMinutes') == 1 else 'sweep'}, finds"
    without, full = (seconds_of_find(name) / 60 for name in ("ASK_WITHOUT_ALARM_EVERY", "ASK_FOR_FULL_ALARM_EVERY"))
    yield f"The sweep then asks every {words[without]} minutes, logs a warning"
    yield f"The sweep then asks every {full:.0f} minutes"
    yield f"Two queries every {words[without]} minutes"
    yield f"two queries every {full:.0f} minutes"
    named = number_of("MOST_CONTRIBUTORS")
    yield f"An alarm is full: it names {named} streams"
    (watched,) = {number for alarm in FLEET for number in re.findall(r"LIMIT (\d+)", str(of_type("AWS::CloudWatch::Alarm")[alarm]))}
    yield f"An alarm watches the {watched} worst streams, and names at most {named}."
    assert number_of("UNSUPPORTED_PART") == 4
    yield "Counts without a tag use up at most a quarter of a bound in a sweep"
    yield "the next sweeps may therefore exceed a bound by three quarters"
    limit = DEPLOYED["Resources"]["Function"]["Properties"]["Timeout"]
    yield f"A sweep that is running may still change streams for up to {words[limit / 60]} minutes"
    yield "A lost event then waits for up to five minutes"
    yield f"a sweep checks it every {words[number_of('LOOKS_AHEAD_EVERY')]} minutes"
    yield f"The traffic of the last {number_of('PAST_DAYS')} days adds"
    yield f"at most {words[24 / number_of('PAST_GOOD_FOR_HOURS')]} times a day"
    series = int(in_rust(r"const OF_THE_PAST: \[&str; (\d+)\]"))
    yield f"{words[series]} metrics, at most {words[24 / number_of('PAST_GOOD_FOR_HOURS')]} times"
    shard_metrics = int(in_rust(r"pub const SHARD_METRICS: \[&str; (\d+)\]"))
    yield f"and {words[shard_metrics]} for each shard where shard-level metrics are on"
    assert number_of("REVERTS_ON_PURPOSE") == 2
    yield "After the second revert in 24 hours, unthrottle adds no more capacity"
    assert "max.div_ceil(2)" in rust("decide/bounds.rs").read_text()
    yield "above half of the hourly bound are skipped"
    rules = [name for name in of_type("AWS::Events::Rule") if is_made(name)]
    yield f"Three fleet alarms, {words[len(rules)]} EventBridge rules, and the schedule of the sweep"
    yield f"so the {words[len([name for name in OWN if is_made(name)])]} alarms notify no person"
    yield f"or lasts longer than {number_of('LONGEST_DAYS')} days"
    yield f"The sweep checks {words[points_after('kinds of streams, and no others')]} kinds of streams, and no others:"
    yield f"In {words[points_after('cases it also asks CloudWatch')]} cases it also asks CloudWatch Metrics Insights"
    (part,) = {number for number in re.findall(r"worst \d+ of up to ([\d,]+) streams", (ROOT / "infra/dashboard/dashboard.json").read_text())}
    yield f"With more than {part} streams CloudWatch evaluates only a part of them"
    (python,) = re.findall(r"sys\.version_info < \((\d+, \d+)\)", (ROOT / "Makefile").read_text())
    yield f"| Python | {python.replace(', ', '.')} | `make deploy`"
    (columns,) = re.findall(r"let narrow = .*::new\((\d+)\)", (ROOT / "crates/cli/tests/commands/watch.rs").read_text())
    yield f"`watch` fits a screen of {columns} columns"
    share = re.search(r"const CONTAINERS: u32 = (\d+);.*?const UNRESERVED_CONTAINERS: u32 = (\d+);", rust("policy/mod.rs").read_text(), re.DOTALL)
    assert share.groups() == ("5", "10")
    runs = 50
    yield f"{runs} containers make up to {words[runs / int(share[2])]} times the bound"
    yield f"Without a reservation the shares are for {words[int(share[2])]} runs"
    yield f"because Lambda gives a new account {words[int(share[2])]} runs"
    yield f"A new AWS account has a quota of {words[ALWAYS_UNRESERVED]} concurrent Lambda runs, and Lambda keeps {words[ALWAYS_UNRESERVED]} unreserved."
    pace = re.search(r"const PACE: u32 = (\d+);", (ROOT / "crates/cli/src/local.rs").read_text())[1]
    yield f"a local account with an unthrottle inside, {pace} times as fast"
    yield "a fifth with `ReservedConcurrency=5`. Without a reservation a share is a tenth"
    days = DEPLOYED["Resources"]["DeadLetterQueue"]["Properties"]["MessageRetentionPeriod"] / 86400
    yield f"to the dead-letter queue for {days:.0f} days"
    free, metrics = STACK_PRICES["dashboards_free"], STACK_PRICES["dashboard_metrics_free"]
    assert (free, STACK_PRICES["api_requests_free"]) == (3, 1_000_000)
    yield f"An account's first three dashboards of up to {metrics} metrics are free"
    yield "CloudWatch gives an account a million requests a month"


def bounds_of_the_readme():
    """The sentences of README with a default that bounds changes, or with a version."""
    lowest = re.search(r'^rust-version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    yield f"`make demo` and a build of your own need Rust {lowest} or newer"
    added = default_of("MaxAddedShards")
    yield f"{added:.0f} shards (`MaxAddedShards`) that are all added"
    yield f"Runs at the same time may exceed the {added:.0f}"
    yield f"by default unthrottle gives no stream more than {default_of('MaxShards'):.0f} shards"
    an_hour, a_sweep = default_of("MaxChangesPerHour"), default_of("MaxChangesPerSweep")
    yield f"by default to {an_hour:.0f} an hour, to {a_sweep:.0f} streams a sweep, and to {added:.0f} added shards in 24 hours"
    assert number_of("REVERTS_ON_PURPOSE") == 2
    yield "Another person or tool reverted two changes in 24 hours"


@pytest.mark.parametrize("sentence", bounds_of_the_readme())
def test_a_bound_of_the_readme_is_that_of_the_defaults(sentence):
    assert sentence in flat(README)


def test_the_table_of_the_cost_is_for_these_streams():
    (head,) = [cells for cells in table_rows(OPERATIONS) if cells[1] == "no stream"]
    assert head[1:] == ["no stream", *(f"{streams:,} streams" for streams in STREAMS[1:])]


@pytest.mark.parametrize("sentence", of_the_code())
def test_a_figure_of_the_operations_is_that_of_the_code(sentence):
    assert sentence in flat(OPERATIONS)


def test_no_reader_waits_longer_than_a_rarer_sweep():
    """The row of `SweepMinutes=5` is about five minutes, which the parameter takes."""
    minutes = TEMPLATE["Parameters"]["SweepMinutes"]
    assert minutes["MinValue"] <= 5 <= minutes["MaxValue"]
