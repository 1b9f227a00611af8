"""The bill that the README tells, counted from what the template deploys and the code writes."""

import re

from template import ALARMS, FLEET, OWN, ROOT, of_type

README = (ROOT / "README.md").read_text()
METRIC = (ROOT / "src/report/metric.rs").read_text()
STREAMS = [10, 1_000, 10_000]
# USD a month, as the README says.
ALARM, METRIC_OF_OURS, KEY, DASHBOARD = 0.10, 0.30, 1.00, 3.00


def row(beginning):
    (cells,) = re.findall(rf"^\| {re.escape(beginning)}[^|]* \|(.*)\|$", README, re.MULTILINE)
    return [float(cell.strip().replace(",", "")) for cell in cells.split("|")]


def test_the_alarms_are_as_many_as_the_bill_says():
    assert row("three fleet alarms, $0.10 a stream each") == [round(len(FLEET) * ALARM * n, 2) for n in STREAMS]
    assert row("its own nine alarms, $0.10 each") == [round(len(OWN) * ALARM, 2)] * 3
    assert (len(FLEET), len(OWN), len(ALARMS)) == (3, 9, 12)


def test_there_is_one_key_and_one_dashboard():
    assert row("the key of its topic") == [KEY * len(of_type("AWS::KMS::Key"))] * 3
    assert row("the dashboard") == [DASHBOARD * len(of_type("AWS::CloudWatch::Dashboard"))] * 3


def test_a_sweep_writes_as_many_metrics_as_the_bill_says():
    line = re.search(r"pub fn line\(.*?\n    }\n", METRIC, re.DOTALL)[0]
    of_an_invocation = len(re.findall(r'\("?\w+"?, "(?:Count|Milliseconds)"\)', line))
    swept = re.search(r"pub fn swept\(.*?\n}\n", METRIC, re.DOTALL)[0]
    of_a_sweep = len(re.findall(r'\("Sweep\w+", ', swept))
    assert (of_an_invocation, of_a_sweep) == (6, 3)
    # An invocation's count in total and by their reason.
    assert row("the metrics that every sweep writes, $0.30 each") == [round((2 * of_an_invocation + of_a_sweep) * METRIC_OF_OURS, 2)] * 3


def test_a_look_reads_as_many_metrics_as_the_bill_says():
    traffic = (ROOT / "src/observe/traffic.rs").read_text()
    sizes = [int(n) for n in re.findall(r"const (?:SERIES|AUTO_FIXES): \[.*; (\d+)\] =", traffic)]
    # And what was taken back, and the changes of the fleet.
    assert len(sizes) == 2 and sum(sizes) + 2 == 16
    words = " ".join(README.split())
    assert f"${16 * 0.01:.2f} for 1,000 looks (a look reads 16 metrics, " in words
    a_month = 30 * 24 * 12 * 16 * 0.01 / 1000
    assert f"so ${a_month:.1f}0 a month for a stream that stays in alarm" in words


def test_a_stream_that_heals_has_four_metrics_of_its_own():
    # AutoFix by stream, and by stream and action; Healed and TimeToHeal by stream.
    assert f"${4 * METRIC_OF_OURS:.2f} for each stream while it is changed and heals (four metrics" in " ".join(README.split())
