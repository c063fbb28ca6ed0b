"""Many inits without faults: how many, beside what load, and what came of them, printed after a test run."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest
from crashinit.contract.canonical import State

UNSTABLE = "unstable"  # the property of a test in which it notes the facts that differed
TEST = "test_no_false_alarm"
# Uses all of a processor that it can get, for as long as its parent lives.
BUSY_LOOP = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
_beside = ExitStack()  # the busy loops of this test run


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--alarms", type=int, default=3, metavar="N", help="how often an init without faults is repeated (default: 3)"
    )
    parser.addoption(
        "--alarms-load", type=int, default=0, metavar="N", help="busy loops a core beside the test run (default: 0)"
    )
    parser.addoption(
        "--alarms-seeds",
        type=int,
        default=0,
        metavar="K",
        help="in virtual time, over K seeds (default: 0, with the default provider)",
    )


def unstable(states: Sequence[State]) -> list[str]:
    """The facts that the states do not all share: of repeated inits without faults, what a mask has to allow."""
    paths = set[str]().union(*states)
    return sorted(path for path in paths if len({state.get(path) for state in states}) > 1)


@contextmanager
def busy(count: int) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """So many busy loops run beside what is done inside. They end with it, and if this process dies, too."""
    loops = [subprocess.Popen([sys.executable, "-c", BUSY_LOOP, str(os.getpid())]) for _ in range(count)]
    try:
        yield loops
    finally:
        for loop in loops:
            loop.kill()
        for loop in loops:
            loop.wait()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Once for all workers of xdist."""
    config = session.config
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        _beside.enter_context(busy(config.option.alarms_load * (os.cpu_count() or 1)))


def pytest_sessionfinish() -> None:
    _beside.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many inits raised an alarm or could not be judged, and how often facts differed from the first one."""
    reports = [
        report
        for outcome in ("passed", "failed", "error")
        for report in terminalreporter.getreports(outcome)
        if TEST in report.nodeid and (report.when == "call" or report.failed)
    ]
    if not reports:
        return
    judged = [report for report in reports if any(name == UNSTABLE for name, _ in report.user_properties)]
    alarms, errors = sum(report.failed for report in judged), len(reports) - len(judged)
    seeds = terminalreporter.config.option.alarms_seeds
    over = f" over {seeds} seeds" if seeds else ""
    said = f"inits without faults: {len(reports)}{over}; false alarms: {alarms}; errors: {errors}"
    terminalreporter.write_line(said)
    facts = Counter(fact for report in judged for name, found in report.user_properties for fact in found)
    for fact, times in sorted(facts.items()):
        terminalreporter.write_line(f"  '{fact}' differed from the first init's in {times}")
