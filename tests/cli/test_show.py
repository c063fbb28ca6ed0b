"""`crashinit show`: the story of a trial."""

from pathlib import Path

from ..report.test_story import PUBLISHED, WEDGE
from ..toys import crashinit


def test_show_tells_a_trial_and_ends_as_it_did() -> None:
    """The story is printed without a machine; a trial that did not converge ends it with 1."""
    shown = crashinit("show", WEDGE, "--run", str(PUBLISHED))

    assert (shown.returncode, shown.stderr) == (1, "")
    assert f"{WEDGE}: diverged\n" in shown.stdout
    assert "\nWhat is left\n    docker-259:1-9962-pool (254:0)  no table\n" in shown.stdout


def test_a_trial_whose_evidence_is_not_there_is_refused_in_a_sentence() -> None:
    """It says what is missing, and the command that makes it; an unknown trial is refused as everywhere."""
    other = WEDGE.replace("table-load", "resume")
    shown = crashinit("show", other, "--run", str(PUBLISHED))

    assert shown.returncode == 4
    assert f"keeps no evidence of the trial '{other}'" in shown.stderr
    assert f"'crashinit replay {other} --run {PUBLISHED}' makes it." in shown.stderr.replace("\n", " ")
    assert crashinit("show", "nosuch", "--run", str(PUBLISHED)).returncode == 4


def test_no_other_directory_is_taken_for_a_run(tmp_path: Path) -> None:
    """A directory without a plan is named."""
    shown = crashinit("show", WEDGE, "--run", str(tmp_path))

    assert shown.returncode == 4 and "plan.json" in shown.stderr and "Traceback" not in shown.stderr
