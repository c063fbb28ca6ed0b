"""Whether a trial repeats itself, and what of it hangs on the seed."""

from pathlib import Path

import pytest
from crashinit import cli
from crashinit.campaign import campaign
from crashinit.campaign.tries import HowOften
from crashinit.report import file_listeners, read
from crashinit.run.kept import stored
from crashinit.scenario import scenario

from ..toys import shell_driver

# The init after one that was cut short fails by the hour of the machine's clock, which its seed sets, or by chance.
DRIVER = """
test -e {root}/done && exit
test -e {root}/begun && ! LUCK && { echo unlucky >&2; exit 1; }
: > {root}/begun
sync
: > {root}/done
"""
BY_THE_HOUR = "date +%H | grep -q '[02468]$'"  # 06:33 with seed 3, 17:43 with 4, 05:05 with 5
BY_CHANCE = "grep -q '^[89a-f]' /proc/sys/kernel/random/uuid"
TRIAL = "luck/before/file.create-done-1/tree"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("luck.toml")


def run(driver: Path, luck: str, provider: str, often: HowOften) -> None:
    """A run of that one trial into 'run'."""
    driver.write_text(shell_driver(DRIVER.replace("LUCK", luck), "luck"))
    strikes = scenario.from_options(
        {"title": "t", "name": "luck", "at": ["file.create done#1"], "restarts": 1, "victims": ["tree"]}, {}
    )
    with file_listeners(Path("run")) as emit:
        campaign.run([strikes], str(driver), provider, Path("run"), 1, lambda name: True, emit, often=often)


@pytest.mark.turn(1)
def test_a_failure_that_hangs_on_the_seed_comes_with_it_each_time(
    driver: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of three seeds two fail: the result names one that does and one that does not, and each keeps its word."""
    run(driver, BY_THE_HOUR, "qemu-virtual:3", HowOften(seeds=3))
    (result,) = read(Path("run")).results

    assert (result.id, result.outcome, result.race, result.seen) == (TRIAL, "diverged", True, "2 of 3")
    assert (result.seed, result.seed_passes) == (4, 3)
    assert [(one["seed"], one["outcome"]) for one in result.tries] == [
        (3, "converged"),
        (4, "diverged"),
        (5, "diverged"),
    ]
    assert "unlucky" in stored(Path("run"), TRIAL).reinits[0].stderr
    assert stored(Path("run"), f"{TRIAL}/seen-converged").reinits[0].exit == 0
    page = Path("run/report.html").read_text()
    assert "fails under 2 of 3 seeds (4, 5), not under 3" in page
    assert "fails under 2 of 3 seeds (4, 5), not under 3" in Path("run/junit.xml").read_text()
    assert "--provider qemu-virtual --seed 4" in page
    capsys.readouterr()

    # By itself it is done again with the seed that fails, and all that can be seen of it is the very same.
    assert cli.main(["replay", TRIAL, "--check", "2", "--run", "run"]) == 0
    assert f"{TRIAL}: 2 of 2 equal under seed 4" in capsys.readouterr().out
    # So it is in a run that begins with that seed: nothing of it hangs on the others.
    assert cli.main(["replay", TRIAL, "--run", "run", "--seed", "4", "--out", "again", "--confirm", "0"]) == 1
    assert stored(Path("again"), TRIAL) == stored(Path("run"), TRIAL)
    assert cli.main(["replay", TRIAL, "--run", "run", "--seed", "3", "--out", "passes"]) == 0
    assert [(one.seed, one.seen) for one in read(Path("passes")).results] == [(3, "")]


@pytest.mark.turn(1)
def test_where_machines_do_not_repeat_themselves_the_claims_are_compared(
    driver: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Times and UUIDs differ and are no difference; outcomes are one, and the command fails."""
    run(driver, "true", "qemu-real", HowOften())
    assert cli.main(["replay", TRIAL, "--check", "2", "--run", "run"]) == 0
    said = capsys.readouterr().out
    assert "only outcome and clauses are compared" in said
    assert f"{TRIAL}: 2 of 2 equal" in said

    driver.write_text(driver.read_text().replace("! true", f"! {BY_CHANCE}"))
    assert cli.main(["replay", TRIAL, "--check", "13", "--run", "run"]) == 1
    said = capsys.readouterr().out
    assert "is another: outcome and failed clauses: " in said
    assert said.count("is another") == 1
