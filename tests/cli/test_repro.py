"""The command that shows reported failures."""

from pathlib import Path

import pytest
from crashinit.cli.repro import scenarios, table

from ..toys import crashinit

RECORD = Path(__file__).parents[2] / "docs" / "track-record.md"


def test_the_record_is_the_table_of_the_scenarios() -> None:
    """Written by hand it would say what nobody runs: 'crashinit repro --markdown' prints it."""
    known = scenarios()

    assert table(known) in RECORD.read_text()
    assert f"{len(known)} reports so far" in RECORD.read_text()
    assert f"looked at, {len(known)} come out as they were reported" in (RECORD.parents[1] / "README.md").read_text()


def test_what_the_reference_driver_leaves_undone_is_said() -> None:
    """It stays well but for a clause: it is none of those on which the failure shows, and the clause is named."""
    (row,) = [line for line in table(scenarios()).splitlines() if line.startswith("| [containerd-4790]")]

    assert "| containerd | C01 | reference (all but C05) |" in row
    (row,) = [line for line in table(scenarios()).splitlines() if line.startswith("| [moby-26900]")]
    assert "| containers-storage | C01, C12 | reference (refuses: 'is missing or empty') |" in row


def test_each_report_is_listed_with_its_drivers() -> None:
    """One line each."""
    done = crashinit("repro", "--list")

    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(scenarios())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a report, or give '--all' or '--list'"),
        (["moby-1"], "there is no report 'moby-1': 'crashinit repro --list' prints the names."),
        (["moby-9644", "--all"], "name a report, or give '--all' or '--list'"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(arguments: list[str], said: str) -> None:
    """And says what to type."""
    done = crashinit("repro", *arguments)

    assert (done.returncode, done.stderr.count("\n")) == (4, 1)
    assert said in done.stderr


@pytest.mark.xdist_group("shell")
@pytest.mark.turn(2)
def test_a_report_is_shown_on_the_driver_that_fails_and_on_one_that_does_not(tmp_path: Path) -> None:
    """The story names the clause, the cause and the command to look at it."""
    done = crashinit("repro", "csi-driver-1346", "--out", str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout
    assert "formats-unreadable: struck before operation" in said
    assert "C12 data-kept" in said
    assert said.index("formats-unreadable: struck") < said.index("loop-dir: struck") < said.index("  why ")
    assert f"--run {tmp_path}/csi-driver-1346/formats-unreadable" in said
    assert "1 of 1 reports shown" in said
