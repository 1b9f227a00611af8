"""At the end of a run: which tests were skipped, and why. `pytest --quiet` counts them only."""

import collections


def pytest_terminal_summary(terminalreporter):
    skipped = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        # All cases of a parametrized test count as one name.
        name = report.nodeid.partition("[")[0].rpartition("/")[2]
        skipped.setdefault(reason, collections.Counter())[name] += 1
    for reason, names in skipped.items():
        listed = ", ".join(name if cases == 1 else f"{name} ({cases} cases)" for name, cases in sorted(names.items()))
        terminalreporter.write_line(f"{names.total()} skipped, because {reason}: {listed}")
