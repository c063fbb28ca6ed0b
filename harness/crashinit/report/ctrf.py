"""DIR/ctrf.json: a run in the Common Test Report Format, version 0.0.0 (ctrf.io), for servers that read it."""

import json
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crashinit.files.safe import write_text
from crashinit.model.events import Outcome, TrialResult
from crashinit.report.again import replay
from crashinit.report.counts import total_seconds
from crashinit.report.kinds import how_often
from crashinit.report.results import RunRecord
from crashinit.report.strike import sentence

CTRF = "ctrf.json"
STATUS: dict[Outcome, str] = {"converged": "passed", "diverged": "failed", "not-fired": "failed", "error": "other"}


def write(run: RunRecord, out: Path) -> Path:
    """Write ctrf.json into the run's directory."""
    path = out / CTRF
    write_text(path, json.dumps(report(run, out), indent=1) + "\n")
    return path


def report(run: RunRecord, out: Path) -> dict[str, Any]:
    """The report as an object. A trial that has no result is `pending`; times are in milliseconds."""
    start = int(datetime.fromisoformat(run.started).timestamp() * 1000) if run.started else 0
    tests = [_test(result, out) for result in run.results]
    tests += [{"name": name, "status": "pending", "duration": 0} for name in run.not_run]
    statuses = [test["status"] for test in tests]
    summary = {status: statuses.count(status) for status in ("passed", "failed", "pending", "skipped", "other")}
    return {
        "reportFormat": "CTRF",
        "specVersion": "0.0.0",
        "results": {
            "tool": {"name": "crashinit", "version": version("crashinit")},
            "summary": {
                "tests": len(tests),
                **summary,
                "start": start,
                "stop": start + int((run.seconds or 0.0) * 1000),
            },
            "environment": {"appName": run.driver, "osPlatform": run.guest, "osRelease": run.kernel},
            "tests": tests,
        },
    }


def _test(result: TrialResult, out: Path) -> dict[str, Any]:
    test: dict[str, Any] = {
        "name": result.id,
        "status": STATUS[result.outcome],
        "rawStatus": result.outcome,
        "duration": round(total_seconds(result) * 1000),
        "suite": [result.scenario],
        "flaky": result.race,
        "extra": {"step": result.step, "operation": result.operation, "clauses": result.clauses},
    }
    if result.outcome != "converged":
        test["message"] = result.reason
        test["trace"] = "\n".join(filter(None, [sentence(result), how_often([result]), replay(result, out)]))
    return test
