"""Where somebody else has something to take, by an init's trace."""

import pytest
from crashinit import families
from crashinit.faults import planned
from crashinit.faults.actor import without_anything_to_take
from crashinit.model.observation import OperationRecord
from crashinit.scenario.scenario import Scenario

from ..contract.builder import run
from ..families.traces import trace

INIT = trace(
    "file.create data",
    "loop.configure data",
    "dm.create pool",
    "exec mkfs.ext4",
    "dev.write base mkfs.ext4",
    "dm.resume base",
    "dm.remove base",
    "loop.clr-fd data",
    "exit driver",
)


def keys(operations: list[OperationRecord], *numbers: int) -> set[str]:
    return {operations[number - 1].key for number in numbers}


@pytest.mark.parametrize(
    ("actor", "numbers"),
    [
        ("holder", (1, 2, 9)),
        ("reader", (1, 2, 9)),
        ("mount", (1, 2, 3, 4, 5, 6, 8, 9)),
        ("other-owner", ()),
        ("ls /", ()),
    ],
)
def test_who_wants_a_device_comes_only_where_one_is(actor: str, numbers: tuple[int, ...]) -> None:
    """And who wants to mount one only where it has a file system that is whole."""
    assert without_anything_to_take(actor, INIT) == keys(INIT, *numbers)


def scenario(**more: object) -> Scenario:
    return Scenario.model_validate({"title": "t", "name": "s", "step": "all", **more})


def test_what_comes_beside_a_fault_is_in_each_of_its_trials() -> None:
    """Where it has nothing to do there is none, and that is said."""
    init = run().model_copy(update={"operations": INIT})
    asked = scenario(actor="holder", release="never", victims=["tree"])
    trials = planned.trials(asked, init, "d", families.load())

    assert {(trial.fault, trial.actor, trial.release) for trial in trials} == {("kill", "holder", "never")}
    assert [trial.point.n for trial in trials] == [3, 4, 5, 6, 7, 8]
    assert planned.left_out(asked, init, families.load()) == ["s: 3 operations at which 'holder' finds nothing to take"]


def test_an_event_is_lost_only_where_one_is_made() -> None:
    """By the kind of the operation."""
    init = run().model_copy(update={"operations": INIT})
    asked = scenario(udev="lost", victims=["tree"])

    assert [trial.point.n for trial in planned.trials(asked, init, "d", families.load())] == [2, 3, 6, 7, 8]
    assert planned.left_out(asked, init, families.load()) == [
        "s: 4 operations at which no event is made that could be lost"
    ]


def test_without_company_a_trial_says_nothing_of_it() -> None:
    """Plans of earlier versions stay as they were."""
    init = run().model_copy(update={"operations": INIT})
    [trial, *_] = planned.trials(scenario(), init, "d", families.load())

    assert not {"actor", "release", "udev", "seconds"} & trial.as_json().keys()


def test_a_driver_that_is_up_has_devices_to_take() -> None:
    """Of a shutdown the trace makes none, and there are some all the same."""
    shutdown = run().model_copy(update={"operations": INIT[-2:]})
    asked = scenario(actor="holder", during="shutdown", victims=["tree"])

    assert len(planned.trials(asked, shutdown, "d", families.load())) == 2
