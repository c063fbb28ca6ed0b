"""Power-cut trials without a machine: what their recordings are called."""

import pytest
from crashinit.adapters import load
from crashinit.faults.powercut.layout import LAYOUTS
from crashinit.model.trial import Point, Setup
from crashinit.trial.powercut import recording_name

POINT = Point("mkfs", "before", 3, "exec mkfs.ext4#1")

ADAPTER = load("reference")


def test_each_setup_has_a_recording_of_its_own() -> None:
    """Other options, or another deadline, are another init: their recordings never replace one another."""
    setups = [
        Setup(given, options, deadline)
        for given in ("ext4", "ext4-populated", "xfs")
        for options in [(), ("a",), ("b",), ("a", "b"), ("a+b",), ("../x",), ("x" * 300,), ("x" * 300, "y")]
        for deadline in (60.0, 30.0)
    ]
    names = [recording_name(ADAPTER, setup) for setup in setups]

    assert len(set(names)) == len(setups)
    assert max(map(len, names)) < 200
    assert not any("/" in name for name in names)
    assert recording_name(ADAPTER, Setup("ext4", ("dm.fs=xfs",), 60.0)).startswith("ext4~dm.fs%3Dxfs~")


@pytest.mark.parametrize("given", LAYOUTS)
def test_a_setup_without_options_of_its_own_has_the_plain_name(given: str) -> None:
    """So have the published recordings."""
    assert recording_name(ADAPTER, Setup(given, LAYOUTS[given].options(ADAPTER), 60.0)) == f"{given}.gz"


def test_each_second_cut_has_a_recording_of_its_own() -> None:
    """The init after a power cut is recorded by the operation and the state that came before it, however long."""
    setup = Setup("ext4", (), 60.0)
    keys = ["a b#1", "a-b#1", "x" * 300, "x" * 301]
    names = [
        recording_name(ADAPTER, setup, Point("", "before", 1, key), state)
        for key in keys
        for state in ("flush-1", "flush-2")
    ]

    assert len(set(names)) == len(names)
    assert max(map(len, names)) < 200
