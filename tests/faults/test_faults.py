"""The faults behind one interface."""

from typing import get_args

import pytest
from crashinit.faults import FAULTS, Acting
from crashinit.faults.errno import came_once
from crashinit.model.fault import KILL, KINDS, kind_of
from crashinit.scenario.scenario import Scenario

from ..contract.builder import run
from ..families.traces import trace


def scenario(**keys: object) -> Scenario:
    return Scenario.model_validate({"title": "t", "step": "all", **keys})


def test_every_fault_of_a_scenario_is_known() -> None:
    """What a scenario file may ask for has a kind; and what strikes a held init bears the name of its own."""
    named = get_args(Scenario.model_fields["fault"].annotation)

    assert set(named) <= set(KINDS)
    assert {name: fault.kind.name for name, fault in FAULTS.items()} == {name: name for name in FAULTS}
    assert set(FAULTS) == {name for name in named if not kind_of(name).cuts_power}


def test_a_fault_of_a_later_version_is_none_of_ours() -> None:
    """Nothing is taken for granted of it."""
    found = kind_of("of-tomorrow")

    assert not (found.kills or found.fails_a_call or found.goes_on or found.cuts_power or found.is_a_race)


def test_a_kill_has_a_way_for_each_victim() -> None:
    """They end the trial's id."""
    ways = FAULTS["kill"].ways(scenario(victims=["tree", "process"]), Acting("file.mkdir"))

    assert [(way.name, way.victim, way.error) for way in ways] == [("tree", "tree", ""), ("process", "process", "")]


def test_an_error_comes_once_and_always_where_the_call_may_return_it() -> None:
    """A place that the trace does not have gets every error: none of them will fire, and that is said of each."""
    asked = scenario(fault="errno", errnos=["EIO", "ENODATA"])

    assert [way.name for way in FAULTS["errno"].ways(asked, Acting("file.mkdir"))] == ["EIO-once", "EIO-always"]
    assert len(FAULTS["errno"].ways(asked, None)) == 4
    assert FAULTS["errno"].ways(asked, Acting("exit")) == []


@pytest.mark.parametrize(("lines", "once"), [(("a x", "b x"), True), (("a x", "b x", "a x"), False)])
def test_an_error_that_lasts_is_another_one_only_if_the_call_comes_again(lines: tuple[str, ...], once: bool) -> None:
    """The same kind on the same object."""
    operations = trace(*lines)
    struck = run(exit=1).model_copy(update={"operations": operations})

    assert came_once(struck, operations[0]) is once


def test_a_key_that_means_nothing_to_a_fault_is_refused() -> None:
    """Each with the fault's own sentence."""
    with pytest.raises(ValueError, match="a kill returns no error"):
        scenario(errnos=["EIO"])
    assert set(KILL.refuses) == {"errnos", "seconds"}
    with pytest.raises(ValueError, match="it has no 'victims'"):
        scenario(fault="child", victims=["tree"])
    with pytest.raises(ValueError, match="goes with 'fault: supervisor', 'fault: stop' and 'fault: slow'"):
        scenario(fault="term", seconds=1.0)


def test_a_child_is_killed_only_where_one_is_about_to_act() -> None:
    """Where the driver itself acts that would be another fault."""
    asked = scenario(fault="child")

    assert FAULTS["child"].ways(asked, Acting("dev.write", is_the_driver=True)) == []
    assert [way.victim for way in FAULTS["child"].ways(asked, Acting("dev.write", is_the_driver=False))] == ["child"]


@pytest.mark.parametrize(("fault", "seconds"), [("term", 0.0), ("int", 0.0), ("supervisor", 2.5), ("stop", 2.5)])
def test_a_signal_has_a_way_for_each_victim_and_the_seconds_that_it_needs(fault: str, seconds: float) -> None:
    """What has no use for them has none."""
    asked = scenario(fault=fault, **({"seconds": 2.5} if seconds else {}))
    ways = FAULTS[fault].ways(asked, Acting("file.mkdir"))

    assert [(way.victim, way.seconds) for way in ways] == [("process", seconds), ("tree", seconds)]
