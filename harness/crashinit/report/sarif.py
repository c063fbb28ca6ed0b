"""DIR/report.sarif: the kinds of failure as SARIF 2.1.0 (OASIS), for servers that show them beside the code.

A rule is a clause, a result a kind of failure. It is shown at the adapter and the scenario below the working directory,
where a pull request has them; of an adapter that comes along, at that. What the harness could not do is no result but a
notification. Two runs give one kind the same fingerprint: no number is in it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crashinit import families
from crashinit.adapters.inherited import found
from crashinit.errors import UsageError
from crashinit.files import textfile
from crashinit.files.safe import write_text
from crashinit.machine.cache import digest
from crashinit.model.events import TrialResult
from crashinit.report.again import replay
from crashinit.report.files import ScenarioFiles
from crashinit.report.kinds import first, how_often, kind_of, kinds, severity, short, sort
from crashinit.report.results import RunRecord
from crashinit.report.title import name, title
from crashinit.report.verdict import distinct
from crashinit.report.words import many
from crashinit.text.printable import printable

SARIF = "report.sarif"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
PACKAGE = "CRASHINIT"  # the name of the directory that the package's files are named from
NOT_FIRED = "a fault that never struck shows nothing of the driver"


def write(run: RunRecord, out: Path) -> Path:
    """Write report.sarif into the run's directory."""
    path = out / SARIF
    write_text(path, json.dumps(report(run, out, Path.cwd()), indent=1) + "\n")
    return path


def report(run: RunRecord, out: Path, top: Path) -> dict[str, Any]:
    """The report as an object. `top`: the directory that files are named from, the top of a checkout."""
    bad = kinds(result for result in distinct(run.results) if result.outcome in ("diverged", "not-fired"))
    rules = sorted({first(alike[0])[0] for alike in bad})
    places = _Places(run.driver, top)
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "crashinit",
                        "version": version("crashinit"),
                        "rules": [_rule(rule) for rule in rules],
                    }
                },
                "originalUriBaseIds": {PACKAGE: {"description": {"text": "The installed package crashinit."}}},
                "invocations": [_invocation(run)],
                "results": [_result(alike, rules, run, out, places) for alike in bad],
            }
        ],
    }


def _rule(rule: str) -> dict[str, Any]:
    clause = families.clauses().get(rule)
    text = " ".join(((clause and clause.judge.__doc__) or NOT_FIRED).split("\n\n")[0].split())
    return {
        "id": rule,
        "name": clause.name if clause else rule,
        "shortDescription": {"text": text},
        "defaultConfiguration": {"level": "error"},
    }


def _invocation(run: RunRecord) -> dict[str, Any]:
    errors = [result for result in run.results if result.outcome == "error"]
    notes = [{"level": "error", "message": {"text": _line(f"{one.id}: {one.reason}")}} for one in errors]
    if run.not_run:
        said = f"{many(len(run.not_run), 'planned trial')} without a result"
        notes.append({"level": "error", "message": {"text": said}})
    return {"executionSuccessful": not notes, "toolExecutionNotifications": notes}


def _result(
    alike: Sequence[TrialResult], rules: Sequence[str], run: RunRecord, out: Path, places: "_Places"
) -> dict[str, Any]:
    one = alike[0]
    rule = first(one)[0]
    often = how_often(alike)
    said = f"{title(run.driver)}: {sort(one)}, {many(len(alike), 'fault')}. {short(one.reason)}"
    again = f"The first of them again: {replay(one, out)}"
    return {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        "level": "warning" if one.outcome == "diverged" and severity(one) == "leaks" else "error",
        "message": {"text": "\n".join(map(_line, filter(None, [said, often, again])))},
        "locations": list(places.of(one)),
        "occurrenceCount": len(alike),
        "partialFingerprints": {"kind/v1": digest(json.dumps([name(run.driver), *kind_of(one)]))},
        "properties": {"guest": run.guest, "trials": [result.id for result in alike]},
    }


class _Places:
    """Where files lie: the adapter, and scenarios by their names."""

    def __init__(self, driver: str, top: Path) -> None:
        self._files = ScenarioFiles(top)
        self._top = self._files.top
        self._adapter = _adapter(driver)

    def of(self, result: TrialResult) -> Iterator[dict[str, Any]]:
        """The locations of a failure: a reader that shows only one of them takes the first."""
        scenario = self._files.of(result.scenario)
        own = [path for path in (self._adapter, scenario) if path and path.is_relative_to(self._top)]
        logical = [{"name": result.step or "-", "fullyQualifiedName": f"{result.scenario}/{result.step or '-'}"}]
        for path in own:
            key = "init" if path == self._adapter else "step|at"
            where = {"uri": quote(path.relative_to(self._top).as_posix())}
            yield {"physicalLocation": _at(where, _line_of(path, key)), "logicalLocations": logical}
        if not own:
            called = self._adapter.name if self._adapter else "unknown.toml"
            where = {"uri": f"adapters/{quote(called)}", "uriBaseId": PACKAGE}
            yield {"physicalLocation": _at(where, 1), "logicalLocations": logical}


def _adapter(driver: str) -> Path | None:
    try:
        return found(driver).resolve()
    except UsageError:  # gone by now
        return None


def _at(where: dict[str, str], line: int) -> dict[str, Any]:
    return {"artifactLocation": where, "region": {"startLine": line}}


def _line_of(path: Path, key: str) -> int:
    """The line in which a key begins; the first, where the file has none."""
    try:
        text = textfile.read(path, "the file")
    except UsageError:
        return 1
    lines = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if re.match(rf"({key})\s*[=:]", line)), 1)


def _line(text: str) -> str:
    return printable(text, None)
