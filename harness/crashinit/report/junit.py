"""DIR/junit.xml: a suite per scenario, a case per trial, as CI servers show them."""

import socket
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from crashinit.files.safe import write_text
from crashinit.model.events import TrialResult
from crashinit.report.again import replay
from crashinit.report.counts import is_judged, total_seconds
from crashinit.report.kinds import how_often
from crashinit.report.results import RunRecord
from crashinit.text.printable import printable

JUNIT = "junit.xml"


def write(run: RunRecord, out: Path) -> None:
    """Write junit.xml into the run's directory."""
    write_text(out / JUNIT, render(run, out))


def render(run: RunRecord, out: Path) -> str:
    """The XML document of the run in that directory.

    Diverged and not-fired trials are failures, harness errors are errors. Planned trials that an
    interrupted run did not reach are skipped, in a suite of their own.
    """
    root = ET.Element("testsuites", name=f"crashinit {run.driver}")
    for scenario in dict.fromkeys(result.scenario for result in run.results):
        results = [replace(result, replay=replay(result, out)) for result in run.results if result.scenario == scenario]
        _suite(root, run, scenario, results)
    if run.not_run:
        suite = _element(root, "testsuite", name="not run", tests=len(run.not_run), failures=0, errors=0)
        suite.set("skipped", str(len(run.not_run)))
        for trial in run.not_run:
            case = _element(suite, "testcase", classname=f"{run.driver}.not-run", name=trial, time="0.000")
            _element(case, "skipped", message="the run ended before this trial was done")
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("time", f"{run.seconds or 0.0:.3f}")
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, run: RunRecord, scenario: str, results: list[TrialResult]) -> None:
    failures = sum(result.outcome in ("diverged", "not-fired") for result in results)
    errors = sum(result.outcome == "error" for result in results)
    suite = _element(root, "testsuite", name=scenario, tests=len(results), failures=failures, errors=errors, skipped=0)
    suite.set("time", f"{sum(map(total_seconds, results)):.3f}")
    suite.set("timestamp", run.started.removesuffix("+00:00"))
    suite.set("hostname", socket.gethostname())
    properties = _element(suite, "properties")
    for name in ("driver", "provider", "accel", "time", "guest", "kernel"):
        _element(properties, "property", name=name, value=getattr(run, name))
    for result in results:
        _case(suite, result)


def _case(suite: ET.Element, result: TrialResult) -> None:
    case = _element(
        suite,
        "testcase",
        classname=f"{result.driver}.{result.scenario.replace('/', '.')}",
        name=result.id,
        time=f"{total_seconds(result):.3f}",
    )
    if result.outcome != "converged":
        tag = "error" if result.outcome == "error" else "failure"
        often = f" ({how_often([result])})" if result.tries else ""
        _element(case, tag, message=f"{result.reason}{often}", type=result.outcome).text = printable(
            _details(result), None
        )
    _element(case, "system-out").text = printable(
        f"{result.operation} (boundary {result.boundary})\n{result.replay}\n", None
    )


def _details(result: TrialResult) -> str:
    lines = [f"{result.outcome}: {result.reason}", *filter(None, [how_often([result])])]
    lines += [
        f"{clause} {status}: {result.clause_reasons.get(clause, '')}".rstrip(": ")
        for clause, status in sorted(result.clauses.items())
        if status != "pass" and is_judged(result)
    ]
    return "\n".join([*lines, f"again: {result.replay}"])


def _element(parent: ET.Element, tag: str, **attributes: object) -> ET.Element:
    return ET.SubElement(parent, tag, {name: printable(str(value), None) for name, value in attributes.items()})
