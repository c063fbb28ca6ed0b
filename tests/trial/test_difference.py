"""Where two pieces of evidence first differ."""

import pytest
from crashinit.model.observation import Actor, Evidence, Exercise, Uevent
from crashinit.trial.difference import first_difference

from ..contract.builder import change_pool, evidence, observe, operation, run

ONE = evidence()
EXERCISE = Exercise(ok=False, stage="mount", message="")


def test_what_is_equal_has_no_difference() -> None:
    """Not even a nanosecond."""
    assert first_difference(ONE, evidence()) is None


def test_every_part_of_the_evidence_counts() -> None:
    """A part that only one of two has is a difference, whichever it is: a later version may have more of them."""
    full = ONE.model_copy(update={"before": observe(), "earlier": [run()], "stops": [run()]})
    full = full.model_copy(update={"same_as": "other", "same_state_as": "other", "time": "virtual", "kernel": "6.1"})
    full = full.model_copy(update={"udev": "late", "actor": Actor(name="holder", release="after", got=["x"])})
    empty: dict[str, object] = {
        "before": None,
        "fired": None,
        "after": None,
        "again": None,
        "after_again": None,
        "exercise": None,
    }
    empty |= {
        "shutdown": None,
        "after_shutdown": None,
        "earlier": [],
        "stops": [],
        "reinits": [],
        "same_as": "",
        "same_state_as": "",
        "time": "",
        "kernel": "",
        "actor": None,
        "udev": "",
    }
    empty |= {"fault": "errno", "trial": "another", "fault_run": run(exit=1), "during": "create", "requested": EXERCISE}

    assert set(empty) == set(Evidence.model_fields)
    for field, value in empty.items():
        assert first_difference(full, full.model_copy(update={field: value})) is not None, field


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"reinits": [run(operations=[operation().model_copy(update={"seconds": 0.500000001})])]},
            "init 1 after the fault, operation 1 'exec mkfs.ext4#1' of python3, 0.500000000 s after it began: seconds: "
            "0.500000000 in the first, 0.500000001 in this one",
        ),
        (
            {"reinits": [run(operations=[operation("dm.create", "pool")])]},
            "init 1 after the fault, operation, 0.500000000 s after it began: "
            "1 'exec mkfs.ext4#1' of python3 in the first, 1 'dm.create pool#1' of python3 in this one",
        ),
        (
            {"reinits": [run()]},
            "init 1 after the fault, operation, 0.500000000 s after it began: "
            "1 'exec mkfs.ext4#1' of python3 in the first, nothing in this one",
        ),
        (
            {"after": change_pool(uuid="u")(observe())},
            "the state after the inits: dm, entry 1 'docker-254:0-1234-pool': uuid: '' in the first, 'u' in this one",
        ),
        (
            {"after": observe().model_copy(update={"kernel_log": []})},
            "the state after the inits: kernel_log, entry 1: 'loop0: detected capacity change from 0 to 524288' in "
            "the first, nothing in this one",
        ),
        ({"shutdown": None}, "the shutdown: something in the first, nothing in this one"),
    ],
)
def test_a_difference_is_named_in_words(changes: dict[str, object], said: str) -> None:
    """Which part of the trial, which operation, how long after its run began, which field, and both values."""
    first = ONE.model_copy(update={"reinits": [run(operations=[operation()])]})

    assert str(first_difference(first, first.model_copy(update=changes))) == said


def test_the_first_in_time_is_named() -> None:
    """Of a trial's parts the earlier one; in a run what came first, be it an operation or an event of the kernel."""
    early = Uevent(seconds=0.25, source="udev", action="add", sysname="dm-0", dm_name="pool")
    late = operation().model_copy(update={"seconds": 0.75})
    other = ONE.model_copy(
        update={"reinits": [run(operations=[late], uevents=[early])], "after": None, "shutdown": None}
    )
    first = ONE.model_copy(update={"reinits": [run(operations=[operation()])]})

    assert str(first_difference(first, other)).startswith(
        "init 1 after the fault, event, 0.250000000 s after it began: nothing in the first, 'udev add dm-0' in this one"
    )


def test_of_a_long_text_the_place_is_shown_where_it_differs() -> None:
    """A line bears it, and shows both values from a little before."""
    one, other = ("x" * 5000 + word + "y" * 5000 for word in ("left", "right"))
    found = first_difference(
        ONE.model_copy(update={"again": run(stderr=one)}), ONE.model_copy(update={"again": run(stderr=other)})
    )

    assert found is not None
    assert (found.where, len(found.one), len(found.other)) == ("the init once more: stderr", 82, 82)
    assert "xxleftyy" in found.one
    assert "xxrightyy" in found.other
