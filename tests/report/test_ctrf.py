"""DIR/ctrf.json."""

import json
from pathlib import Path

from crashinit.report import ctrf, read

from .events import mixed, report


def test_every_trial_has_a_status_and_the_summary_counts_them(tmp_path: Path) -> None:
    """Diverged and not-fired trials failed, the harness's errors are other; a failure says why and how to see it."""
    report(tmp_path, mixed())
    found = json.loads(ctrf.write(read(tmp_path), tmp_path).read_text())
    results = found["results"]

    assert found["reportFormat"] == "CTRF"
    assert {key: results["summary"][key] for key in ("tests", "passed", "failed", "other", "pending")} == {
        "tests": 30, "passed": 27, "failed": 2, "other": 1, "pending": 0,
    }  # fmt: skip
    bad = results["tests"][0]
    assert (bad["status"], bad["rawStatus"], bad["suite"]) == ("failed", "diverged", ["steps/loopback"])
    assert bad["message"] == "C03: <data> is attached twice & leaks"
    assert f"crashinit replay steps/loopback/before/op/process --run {tmp_path}" in bad["trace"]
    assert results["summary"]["stop"] - results["summary"]["start"] == 83200
