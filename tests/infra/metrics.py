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


# Each set of metrics with one set of dimensions: the first of a line, and those that are left out if they are zero.
DIRECTIVE = re.compile(r"(?:= emf\(now|add_unless_zero\(&mut line), &json!\((\[\[.*?\]\])\)[^;]*;", re.DOTALL)


def lines():
    """The sets of metrics in the log lines: (names, sets of dimensions, whether they are there when they are zero)."""
    for _, body in functions(SOURCE):
        # Values, and no names of metrics.
        body, start = re.sub(r'line\["\w+"\]', "", body), 0
        for found in DIRECTIVE.finditer(body):
            names = set(re.findall(r'"([A-Z]\w+)"', body[start : found.end()])) - WORDS
            yield names, [frozenset(each) for each in json.loads(found[1])], found[0].startswith("= emf")
            start = found.end()


# One of these counts by a call: in total, by stream, and a change by its action, too.
SENT = {("AutoFix", frozenset(s)) for s in ([], ["StreamName"], ["StreamName", "Action"])}
# A change also sends the shards that it added, over all streams.
SENT |= {("ShardsAdded", frozenset())}
SENT |= {("Reverted", frozenset(s)) for s in ([], ["StreamName"])}
SENT |= {(name, dimensions) for names, sets, _ in lines() for name in names for dimensions in sets}
DIMENSIONS = {dimension for _, those in SENT for dimension in those}
