"""The false alarms among inits without faults, and the facts that differ between them, printed after a test run."""

from collections import Counter

import pytest

UNSTABLE = "unstable"  # the property of a test in which it notes the facts that differed


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--alarms", type=int, default=3, metavar="N", help="how often an init without faults is repeated (default: 3)"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many inits raised an alarm, and how often each fact differed from the first init's."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call" and any(name == UNSTABLE for name, _ in report.user_properties)
    ]
    if not reports:
        return
    alarms = sum(report.failed for report in reports)
    terminalreporter.write_line(f"false alarms: {alarms} in {len(reports)} inits without faults")
    facts = Counter(fact for report in reports for name, found in report.user_properties for fact in found)
    for fact, times in sorted(facts.items()):
        terminalreporter.write_line(f"  '{fact}' differed from the first init's in {times}")
