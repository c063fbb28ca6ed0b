"""Explorations: scenarios made from options."""

import pytest
from crashinit.adapters import load
from crashinit.campaign.exploration import exploration
from crashinit.errors import UsageError
from crashinit.faults.powercut.layout import layouts_of


@pytest.mark.parametrize(
    ("fault", "given", "asked", "names"),
    [
        ("kill", None, {}, ["explore/kill"]),
        ("kill", ["fresh", "populated", "fresh"], {}, ["explore/kill", "explore/kill/populated"]),
        ("kill", None, {"recovery": "reboot"}, ["explore/kill/reboot"]),
        ("kill", None, {"recovery": "init", "udev": "late"}, ["explore/kill/udev-late"]),
        ("kill", None, {"actor": "holder"}, ["explore/kill/holder-after"]),
        ("kill", None, {"actor": "touch /x", "release": "before"}, ["explore/kill/command-before"]),
        ("actor", None, {"actor": "holder"}, ["explore/actor"]),
    ],
)
def test_a_name_tells_what_is_unusual(
    fault: str, given: list[str] | None, asked: dict[str, object], names: list[str]
) -> None:
    """Trials' ids begin with it: what goes without saying is left out, each root is tried once."""
    found = exploration("reference", fault, given, "", asked)

    assert [one.name for one in found] == names
    assert {(one.step, one.fault) for one in found} == {("all", fault)}


def test_what_is_empty_is_left_out() -> None:
    """So that the scenario's own defaults hold, and what a fault refuses is refused only where it is asked for."""
    nothing: dict[str, object] = {
        "victims": None,
        "steps": [],
        "actor": "",
        "seconds": None,
        "representative": False,
        "deadline": None,
    }
    [kill] = exploration("reference", "kill", [], "", nothing)
    assert (kill.victims, kill.deadline, kill.given) == (("process", "tree"), 60.0, "fresh")

    [failing] = exploration("reference", "errno", None, "enospc, EIO", {})
    assert failing.errnos == ("ENOSPC", "EIO")


def test_power_is_cut_from_every_disk_that_the_driver_has() -> None:
    """Unless roots are named."""
    found = exploration("reference", "power-cut", None, "", {})

    assert [one.given for one in found] == list(layouts_of(load("reference")))
    assert [one.given for one in exploration("reference", "power-cut", ["xfs"], "", {})] == ["xfs"]


@pytest.mark.parametrize(
    ("fault", "asked", "said"),
    [
        ("bang", {}, "'--fault'"),
        ("kill", {"victims": ["nobody"]}, "'--victim'"),
        ("kill", {"steps": ["nowhere"]}, "'--step'"),
        ("kill", {"deadline": 0.0}, "'--deadline'"),
        ("kill", {"release": "never"}, "'--release'"),
    ],
)
def test_what_is_wrong_names_its_option(fault: str, asked: dict[str, object], said: str) -> None:
    """And not the scenario's key."""
    with pytest.raises(UsageError, match=said):
        exploration("reference", fault, None, "", asked)
