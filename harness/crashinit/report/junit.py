"""DIR/junit.xml: a suite per scenario, a case per trial, as CI servers show them."""

import socket
from collections.abc import Sequence
from pathlib import Path

from junitparser import Attr, Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from crashinit.files.safe import write_text
from crashinit.model.events import TrialResult
from crashinit.report.again import replay
from crashinit.report.counts import is_judged, total_seconds
from crashinit.report.files import ScenarioFiles
from crashinit.report.kinds import how_often
from crashinit.report.results import RunRecord
from crashinit.text.printable import printable

JUNIT = "junit.xml"


class _Case(TestCase):
    """A trial; GitLab and others link its `file`."""

    file = Attr()


def write(run: RunRecord, out: Path) -> None:
    """Write junit.xml into the run's directory."""
    write_text(out / JUNIT, render(run, out, Path.cwd()))


def render(run: RunRecord, out: Path, top: Path) -> str:
    """The XML document of the run in that directory. `top`: the directory that files are named from.

    Diverged and not-fired trials are failures, harness errors are errors. Planned trials that an
    interrupted run did not reach are skipped, in a suite of their own. A case names its scenario's file where that
    lies below `top`.
    """
    document = JUnitXml(f"crashinit {run.driver}")
    files = ScenarioFiles(top)
    for scenario in dict.fromkeys(result.scenario for result in run.results):
        document.append(_suite(run, scenario, files.relative(scenario), out))
    if run.not_run:
        document.append(_not_run(run.driver, run.not_run))
    document.update_statistics()
    document.time = round(run.seconds or 0.0, 3)  # of the run, in which trials go side by side
    return str(document.tostring().decode()) + "\n"


def _suite(run: RunRecord, scenario: str, file: str | None, out: Path) -> TestSuite:
    suite = TestSuite(printable(scenario, None))
    suite.timestamp = run.started.removesuffix("+00:00")
    suite.hostname = socket.gethostname()
    for name in ("driver", "provider", "accel", "time", "guest", "kernel"):
        suite.add_property(name, printable(getattr(run, name), None))
    suite.add_testcases([_case(result, file, out) for result in run.results if result.scenario == scenario])
    return suite


def _case(result: TrialResult, file: str | None, out: Path) -> _Case:
    name, classname = result.id, f"{result.driver}.{result.scenario.replace('/', '.')}"
    case = _Case(printable(name, None), printable(classname, None), round(total_seconds(result), 3))
    if file:
        case.file = printable(file, None)
    again = replay(result, out)
    if result.outcome != "converged":
        often = f" ({how_often([result])})" if result.tries else ""
        kind = Error if result.outcome == "error" else Failure
        told = kind(printable(f"{result.reason}{often}", None), result.outcome)
        told.text = printable(_details(result, again), None)
        case.result = told
    case.system_out = printable(f"{result.operation} (boundary {result.boundary})\n{again}\n", None)
    return case


def _details(result: TrialResult, again: str) -> str:
    lines = [f"{result.outcome}: {result.reason}", *filter(None, [how_often([result])])]
    lines += [
        f"{clause} {status}: {result.clause_reasons.get(clause, '')}".rstrip(": ")
        for clause, status in sorted(result.clauses.items())
        if status != "pass" and is_judged(result)
    ]
    return "\n".join([*lines, f"again: {again}"])


def _not_run(driver: str, trials: Sequence[str]) -> TestSuite:
    cases = [TestCase(printable(trial, None), printable(f"{driver}.not-run", None), 0.0) for trial in trials]
    for case in cases:
        case.result = Skipped("the run ended before this trial was done")
    suite = TestSuite("not run")
    suite.add_testcases(cases)
    return suite
