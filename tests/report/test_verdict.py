"""The verdict of a run in one sentence."""

from dataclasses import replace
from pathlib import Path

from crashinit.report.results import read
from crashinit.report.verdict import said, tone

from .events import failing, report, results

NEVER = {"C01": "fail", "C08": "n/a", "C10": "n/a", "C11": "n/a"}
LATER = {"C01": "fail", "C08": "pass"}


def test_failures_are_counted_by_how_bad_they_are(tmp_path: Path) -> None:
    """The worst first; a fault that is the very same as another one counts once."""
    trials = results()
    trials[0] = failing(trials[0], "diverged", "x", {"C01": "pass", "C04": "fail", "C13": "fail"})
    trials[1] = failing(trials[1], "diverged", "x", {"C01": "pass", "C04": "fail", "C07": "fail"})
    trials[2] = failing(trials[2], "diverged", "x", LATER)
    trials[3] = failing(trials[3], "diverged", "x", NEVER)
    trials[4] = replace(trials[3], id="twin", same_as=trials[3].id)
    report(tmp_path, trials)
    run = read(tmp_path)

    assert said(run) == (
        "After 1 of 29 faults it never comes up again, after 1 it comes up only at a later try, "
        "after 1 it works with a broken state, after 1 it works, and leaves something over; "
        "after the other 25 the next init puts everything in order."
    )
    assert tone(run) == "diverged"


def test_a_run_without_any_success_says_no_more(tmp_path: Path) -> None:
    """Where every fault breaks the driver there are no others to speak of."""
    report(tmp_path, [failing(results()[0], "diverged", "x", NEVER)])

    assert said(read(tmp_path)) == "After 1 of 1 fault it never comes up again."
