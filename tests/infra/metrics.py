"""The metrics that the code sends, read from its source."""

import json
import re

from template import functions, rust

SOURCE = rust("report/metric.rs").read_text()
# Names that the code says once.
for name, value in re.findall(r'const (AUTO_FIX|SHARDS_ADDED|NEEDS_PERSON|REVERTED|STREAM_NAME|ACTION): &str = "(\w+)";', SOURCE):
    SOURCE = re.sub(rf"\b{name}\b", f'"{value}"', SOURCE)
NAMESPACE = re.search(r'const NAMESPACE: &str = "(\w+)";', SOURCE)[1]
# Words in quotes that are no metrics: of the format, and dimensions.
WORDS = {"Name", "Unit", "Count", "Seconds", "Milliseconds", "Reason", "StreamName", "Action"}


def lines():
    """The log lines that CloudWatch makes metrics of: (names with their units or without, sets of dimensions)."""
    for _, body in functions(SOURCE):
        for sets in re.findall(r"emf\(now, &json!\((\[\[.*?\]\])\), ", body):
            yield set(re.findall(r'"([A-Z]\w+)"', body)) - WORDS, [frozenset(each) for each in json.loads(sets)]


# One of these counts by a call: in total, by stream, and a change by its action, too.
SENT = {("AutoFix", frozenset(s)) for s in ([], ["StreamName"], ["StreamName", "Action"])}
# A change also sends the shards that it added, over all streams.
SENT |= {("ShardsAdded", frozenset())}
SENT |= {("Reverted", frozenset(s)) for s in ([], ["StreamName"])}
SENT |= {(name, dimensions) for names, sets in lines() for name in names for dimensions in sets}
DIMENSIONS = {dimension for _, those in SENT for dimension in those}
