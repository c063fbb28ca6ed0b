"""Which mutants a test run has, printed at its beginning, and how many of them were caught, printed at its end.

A plugin of its own, since the process that prints is not the one that collects the tests.
"""

from pathlib import PurePosixPath

import pytest

from tests.turns import part

from .mutants import SAMPLE, Mutant, mutants

HERE = PurePosixPath("tests/mutants")


def pytest_report_header(config: pytest.Config) -> str:
    """Their names."""
    return "mutants: all" if config.option.all_turns else f"mutants: {', '.join(m.name for m in wanted(config))}"


def wanted(config: pytest.Config) -> list[Mutant]:
    """The mutants of this test run."""
    return part(config, mutants(), SAMPLE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the score, and the names of those that survived."""
    ended = {outcome: _mutants(terminalreporter, outcome) for outcome in ("passed", "failed", "error")}
    survived = ended["failed"] + ended["error"]
    total = len(ended["passed"]) + len(survived)
    if total:
        terminalreporter.write_line(f"mutation score: {len(ended['passed'])} of {total} mutants caught")
    for name in survived:
        terminalreporter.write_line(f"  not caught: {name}")


def _mutants(terminalreporter: pytest.TerminalReporter, outcome: str) -> list[str]:
    """The parameters of the tests of that outcome that run a mutant: 'no-rollback'."""
    reports = [report for report in terminalreporter.getreports(outcome) if report.when == "call" or report.failed]
    return [
        report.nodeid.partition("[")[2].rstrip("]")
        for report in reports
        if PurePosixPath(report.nodeid.partition("::")[0]).parent == HERE and "mutant_is_caught" in report.nodeid
    ]
