"""The shards of a run, joined."""

import json
from pathlib import Path

import pytest
from crashinit.model.events import RunFinished, RunStarted, TrialFinished
from crashinit.report import listeners, read
from crashinit.scenario import plan

from ..report.events import results
from ..toys import crashinit, planned

ALL = results()
KEPT = ("evidence", "errors")


def shard(where: Path, number: int, count: int = 3, driver: str = "reference") -> Path:
    """A run of that share, with a file of evidence for each of its trials."""
    where.mkdir()
    mine = ALL[number - 1 :: count]
    plan.write(where / "plan.json", [planned(result.id) for result in ALL])
    (where / "evidence").mkdir()
    with listeners(where) as emit:
        left_out = ["something else", f"{len(ALL) - len(mine)} of {len(ALL)} trials: they are of other shards"]
        ids = [result.id for result in mine]
        emit(RunStarted(driver, "qemu", "tcg", ids, left_out, True, shard=f"{number}/{count}"))
        for result in mine:
            (where / "evidence" / f"{number}-{result.boundary}.json.gz").write_bytes(b"x")
            emit(TrialFinished(result))
        emit(RunFinished(10.0, False))
    return where


def test_all_shards_make_the_whole_run(tmp_path: Path) -> None:
    """Every result once, one report, and the evidence of each."""
    shards = [str(shard(tmp_path / str(number), number)) for number in (2, 1, 3)]
    done = crashinit("merge", *shards, "--out", str(tmp_path / "whole"))
    whole = read(tmp_path / "whole")

    assert done.returncode == 0, done.stderr
    assert {result.id: result.outcome for result in whole.results} == {result.id: result.outcome for result in ALL}
    assert (whole.not_run, whole.left_out, whole.seconds, whole.shard) == ([], ["something else"], 30.0, "")
    assert len(list((tmp_path / "whole" / "evidence").iterdir())) == len(ALL)
    assert (tmp_path / "whole" / "report.html").exists()
    assert json.loads((tmp_path / "whole" / "summary.json").read_text())["trials"] == len(ALL)


def test_a_missing_shard_is_said_and_fails(tmp_path: Path) -> None:
    """Nothing is written that could be taken for the whole."""
    shards = [str(shard(tmp_path / str(number), number)) for number in (1, 3)]
    done = crashinit("merge", *shards, "--out", str(tmp_path / "whole"))

    assert (done.returncode, done.stderr) == (3, "crashinit: error: of 3 shards 2/3 is missing.\n")
    assert not (tmp_path / "whole").exists()


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"number": 1}, "both hold shard 1/3"),
        ({"number": 2, "count": 4}, "shards of 3 and of 4"),
        ({"number": 2, "driver": "other"}, "differ in their driver"),
    ],
)
def test_what_is_not_of_one_run_is_refused(tmp_path: Path, second: dict[str, int | str], said: str) -> None:
    """By what is different."""
    shards = [shard(tmp_path / "a", 1), shard(tmp_path / "b", **second), shard(tmp_path / "c", 3)]  # type: ignore[arg-type]
    if "driver" not in second:
        shards.pop()
    done = crashinit("merge", *map(str, shards), "--out", str(tmp_path / "whole"))

    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert said in done.stderr


def test_a_run_that_is_no_shard_is_refused(tmp_path: Path) -> None:
    """It is whole already."""
    where = shard(tmp_path / "a", 1)
    run = json.loads((where / "run.json").read_text())
    (where / "run.json").write_text(json.dumps({**run, "shard": ""}))
    done = crashinit("merge", str(where), "--out", str(tmp_path / "whole"))

    assert done.returncode == 4
    assert "holds no run of a shard: '--shard K/N' makes one" in done.stderr
