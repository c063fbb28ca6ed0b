"""Which plan holds a trial."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.cli.plans import find
from crashinit.errors import UsageError
from crashinit.scenario.plan import write

from ..toys import planned


def test_replay_finds_the_newest_plan_that_holds_the_trial(tmp_path: Path) -> None:
    """A trial's id alone is enough below reports/; a named run, or a plan's path, is taken as it is."""
    for age, run in enumerate(("new", "old"), 1):
        (tmp_path / "reports" / run).mkdir(parents=True)
        write(tmp_path / "reports" / run / "plan.json", [planned("a"), planned(run)])
        os.utime(tmp_path / "reports" / run / "plan.json", (10**9 / age, 10**9 / age))
    new, old = Path("reports/new/plan.json"), Path("reports/old/plan.json")

    assert (new, [planned("a")]) == find("a", None)
    assert (old, [planned("old")]) == find("old", None)
    assert (old, [planned("a")]) == find("a", old.parent)
    assert (new, [planned("a"), planned("new")]) == find(str(new), None)
    with pytest.raises(UsageError, match="no trial 'new' in the plan of 'reports/old'"):
        find("new", old.parent)


def test_replay_does_not_choose_between_drivers() -> None:
    """Where runs of several drivers have a trial of that id, the choice is shown, and a damaged run is none of it."""
    for driver in ("dockerd", "reference"):
        write(Path(f"reports/{driver}/plan.json"), [replace(planned("a"), driver=driver), planned(driver)])
    Path("reports/broken").mkdir()
    Path("reports/broken/plan.json").write_text("[")

    with pytest.raises(UsageError, match="several drivers have a trial 'a'") as error:
        find("a", None)
    assert {"'--run reports/dockerd' (dockerd)", "'--run reports/reference' (reference)."} <= set(
        str(error.value).partition("one of ")[2].split(", ")
    )
    assert find("a", Path("reports/dockerd"))[1][0].driver == "dockerd"
    assert find("reference", None)[0] == Path("reports/reference/plan.json")
