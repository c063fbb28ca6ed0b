"""Several drivers on several guests."""

from pathlib import Path

import pytest
from crashinit.cli import matrix
from crashinit.cli.app import FAILED, HARNESS_ERROR, NOTHING_RAN, OK, USAGE_ERROR
from crashinit.errors import DriverError, UsageError

from ..report.events import failing, report, results
from ..toys import crashinit, shell_driver


def test_each_pair_has_a_directory_of_its_own(tmp_path: Path) -> None:
    """The product of drivers and guests, the drivers' order first; an adapter's file stands under its name."""
    (tmp_path / "mine.toml").write_text(shell_driver("true", "mine"))
    found = matrix.pairs(
        ["reference", str(tmp_path / "mine.toml")], ["debian12", "sid"], tmp_path / "o", resume=False, force=False
    )

    assert [(pair.directory.name, pair.guest) for pair in found] == [
        ("reference-debian12", "debian12"),
        ("reference-sid", "sid"),
        ("mine-debian12", "debian12"),
        ("mine-sid", "sid"),
    ]


@pytest.mark.parametrize(
    ("drivers", "guests", "said"),
    [
        (["reference", "nosuch"], ["debian12"], "nosuch"),
        (["reference"], ["debian12", "nosuch"], "nosuch"),
        (["reference", "reference"], ["debian12"], "the driver 'reference' is named twice"),
        (["reference"], ["sid", "sid"], "the guest 'sid' is named twice"),
    ],
)
def test_a_wrong_name_stops_all_before_anything_runs(drivers: list[str], guests: list[str], said: str) -> None:
    """An unknown or doubled driver or guest is refused in a sentence."""
    with pytest.raises(UsageError, match=said):
        matrix.pairs(drivers, guests, None, resume=False, force=False)


def test_a_run_is_no_place_for_several(tmp_path: Path) -> None:
    """What holds the plan of one run is not written over."""
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a run"):
        matrix.pairs(["reference"], ["debian12", "sid"], tmp_path, resume=False, force=False)


def test_the_table_has_every_pair_and_the_worst_gives_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of one pair stops no other: it is told, its cell is empty, and it counts."""
    pairs = [matrix.Pair(d, g, tmp_path / f"{d}-{g}") for d in ("reference", "dockerd") for g in ("debian12", "sid")]

    def run(pair: matrix.Pair) -> int:
        trials = results()
        if pair.driver == "dockerd" and pair.guest == "sid":
            raise DriverError("it fails without a fault")
        if pair.driver == "dockerd":
            trials[3] = failing(trials[3], "diverged", "x", {"C04": "fail"})
        report(pair.directory, trials)
        return FAILED if pair.driver == "dockerd" else OK

    assert matrix.run_all(pairs, run) == FAILED
    told = capsys.readouterr()
    rows = [line.split() for line in told.out.splitlines()]
    assert ["reference", "✓", "30/30", "✓", "30/30"] in rows
    assert ["dockerd", "✗", "29/30,", "1", "✗", "no", "result"] in rows
    assert "dockerd on sid: it fails without a fault" in told.err
    assert f"crashinit compare {pairs[0].directory}" in told.out


@pytest.mark.parametrize(
    ("codes", "worst"),
    [([OK, FAILED], FAILED), ([FAILED, HARNESS_ERROR, USAGE_ERROR], USAGE_ERROR), ([OK, NOTHING_RAN], 5)],
)
def test_the_worst_code_wins(tmp_path: Path, codes: list[int], worst: int) -> None:
    """A pair that could not run is worse than one that diverged."""
    pairs = [matrix.Pair("reference", str(n), tmp_path / str(n)) for n in range(len(codes))]
    left = iter(codes)
    assert matrix.run_all(pairs, lambda pair: next(left)) == worst


def test_the_command_takes_several(tmp_path: Path) -> None:
    """'--driver' and '--guest' may be given more than once."""
    ended = crashinit(
        "run", "--driver", "reference", "--guest", "debian12", "--guest", "nosuch", "--out", str(tmp_path)
    )

    assert ended.returncode == USAGE_ERROR
    assert "nosuch" in ended.stderr and "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_going_on_runs_what_was_not_begun(tmp_path: Path) -> None:
    """After an interruption in the first pair, '--resume' goes on with that one and begins the others."""
    report(tmp_path / "reference-debian12", results())

    found = matrix.pairs(["reference"], ["debian12", "sid"], tmp_path, resume=True, force=False)

    assert [pair.resume for pair in found] == [True, False]


def test_without_any_results_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    """As for one run, '--resume' is refused where none of the pairs was begun."""
    with pytest.raises(UsageError, match="holds no results to go on from: leave out '--resume'"):
        matrix.pairs(["reference"], ["debian12", "sid"], tmp_path, resume=True, force=False)


def test_a_wrong_scenario_is_told_once(tmp_path: Path) -> None:
    """What is wrong for all pairs is one sentence, and no pair begins."""
    (tmp_path / "bad.yaml").write_text("title: kill it\nstpe: mkfs\n")
    ended = crashinit("run", "bad.yaml", "--driver", "reference", "--driver", "loop-dir", "--out", "o")

    assert ended.returncode == USAGE_ERROR
    assert ended.stderr.count("unknown key 'stpe'") == 1
    assert ended.stdout == "" and not (tmp_path / "o").exists()
