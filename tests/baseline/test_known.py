"""What a baseline file may say, and what is said of one that is wrong."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.baseline.known import Known, load, place
from crashinit.errors import UsageError

from ..report.events import failing, unjudged
from .runs import KNOWN, SAID, WEDGED

ENTRY = '[[known]]\nclause = "C03"\nwords = "w"\nreason = "r"\nat = {"mkfs: dev.write base" = []}\n'


def test_an_entry_knows_a_kind_and_not_a_number() -> None:
    """Which operation of its kind it was, and which numbers the words hold, is no matter."""
    other = failing(
        replace(WEDGED, operation="loop.set-fd data#12"), "diverged", SAID.replace("7", "9"), {"C03": "fail"}
    )

    assert KNOWN.explains(WEDGED)
    assert KNOWN.explains(other)


@pytest.mark.parametrize(
    "other",
    [
        replace(WEDGED, step="mkfs"),
        replace(WEDGED, operation="loop.set-fd metadata#1"),
        failing(WEDGED, "diverged", "two loops", {"C03": "fail"}),
        failing(WEDGED, "diverged", SAID, {"C04": "fail"}),
        failing(WEDGED, "diverged", SAID, {"C03": "fail", "C12": "fail"}),
        failing(WEDGED, "diverged", SAID, {"C01": "fail", "C03": "fail"}),
    ],
    ids=["step", "object", "words", "clause", "one clause more", "another first clause"],
)
def test_what_differs_in_any_part_is_not_known(other: object) -> None:
    """Step, operation, clause and words make a kind; the failure of a clause that is not named is not excused."""
    assert not KNOWN.explains(other)  # type: ignore[arg-type]


def test_a_fault_that_does_not_fire_can_be_known() -> None:
    """It has no clause, whatever is stored of some."""
    unfired = unjudged()[0]
    entry = Known.model_validate(
        {
            "clause": "not-fired",
            "words": "the fault never struck: the init ended after N operations",
            "reason": "r",
            "at": {place(unfired.step, unfired.operation): ["C01", "C02"]},
        }
    )

    assert entry.explains(unfired)


@pytest.mark.parametrize(
    ("step", "operation", "named"),
    [
        ("mkfs", "dev.write ctd-pool-snap-1#12", "mkfs: dev.write ctd-pool-snap-N"),
        ("", "exec mkfs.ext4#1", "-: exec mkfs.ext4"),
        ("loopback", "dev.open /dev/loop0#1", "loopback: dev.open /dev/loopN"),
        ("metadata-save", "file.write v2.db#3", "metadata-save: file.write v2.db"),
    ],
)
def test_a_place_has_no_counters(step: str, operation: str, named: str) -> None:
    """How often an operation came, and which of a row of devices it was; a name's own digits stay."""
    assert place(step, operation) == named


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("[[known]", "is not valid TOML"),
        (ENTRY.replace('reason = "r"\n', ""), "', entry 1: the key 'reason' is missing."),
        (
            ENTRY + ENTRY + 'since = "c"\n',
            "', entry 2: unknown key 'since': known keys are clause, words, reason, ",
        ),
        (ENTRY.replace('"r"', '""'), "', entry 1: 'reason' is '', but must be a text of at least 1 "),
        (ENTRY.replace('"r"', "true"), "', entry 1: 'reason' is true, but must be a text in quotes."),
        (ENTRY.replace("C03", "C99"), "', entry 1: 'clause': 'C99' is no clause: they are C01, C02"),
        (ENTRY.replace("[]", '["C98"]'), "', entry 1: 'at': 'C98' is no clause: they are C01, C02"),
        (ENTRY.replace("mkfs: ", ""), "', entry 1: 'at': 'dev.write base' names no place: write 'STEP: OPERATION'"),
        ("known = 3", "': 'known' is 3, but must be a list in brackets."),
        ("known = " + "9" * 5000, "is not valid TOML: a number in it has more than 4,300 digits."),
        (
            '[[known]]\nid = "steps/mkfs/*"\nreason = "moby 1"\n',
            "names trials by their ids, as an earlier version wrote it: write it anew by kind, with 'crashinit b",
        ),
    ],
)
def test_a_wrong_baseline_is_one_sentence(tmp_path: Path, text: str | None, said: str) -> None:
    """A file that is missing, no TOML, of an earlier version, or lacks a reason is told with its name and place."""
    path = tmp_path / "baseline.toml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_a_baseline_is_bounded(tmp_path: Path) -> None:
    """A fifo is not waited for, and brackets without end are one sentence."""
    os.mkfifo(tmp_path / "fifo")
    deep = tmp_path / "deep.toml"
    deep.write_text("known = " + "[" * 5000)

    with pytest.raises(UsageError, match="the baseline must be a regular file"):
        load(tmp_path / "fifo")
    with pytest.raises(UsageError, match="its brackets are nested too deeply"):
        load(deep)
