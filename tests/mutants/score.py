"""Which mutants a test run has, printed at its beginning, and how many of them were caught, printed at its end.

A plugin of its own, since the process that prints is not the one that collects the tests.
"""

import os
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import pytest

from .mutants import Mutant, mutants, sample

HERE = PurePosixPath("tests/mutants")
DATE = "CRASHINIT_MUTANTS_DATE"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-mutants", action="store_true", help="every mutant, not only the day's sample")
    parser.addoption(
        "--mutants-date",
        type=date.fromisoformat,
        metavar="YYYY-MM-DD",
        default=os.environ.get(DATE),
        help=f"the day whose sample of mutants is run (or ${DATE}; default: today)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Look at the calendar once: a worker of xdist may begin on another day than the process that started it."""
    told = getattr(config, "workerinput", {}).get(DATE)
    config.option.mutants_date = date.fromisoformat(told) if told else config.option.mutants_date or date.today()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput[DATE] = node.config.option.mutants_date.isoformat()


def pytest_report_header(config: pytest.Config) -> str:
    """What to say to get the same mutants again."""
    if config.option.all_mutants:
        return "mutants: all"
    return f"mutants: {', '.join(m.name for m in wanted(config))} (again: --mutants-date {config.option.mutants_date})"


def wanted(config: pytest.Config) -> list[Mutant]:
    """The mutants of this test run."""
    every = mutants()
    return every if config.option.all_mutants else sample(every, config.option.mutants_date)


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
