"""Keys of a scenario that contradict each other, or have no effect, are refused with a sentence."""

from typing import Any

import pytest
from crashinit.scenario.scenario import Scenario


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"step": "mkfs", "during": "shutdown"}, "'during: shutdown' has no steps"),
        ({"step": "all", "steps": ["mkfs"], "during": "remove"}, "'during: remove' has no steps"),
        ({"fault": "none"}, "'fault: none' needs 'surroundings'"),
        ({"fault": "none", "step": "all", "surroundings": {"nofile": 9}}, "'fault: none' strikes nothing: it has no"),
        ({"step": "all", "lasting": True}, "'lasting' says how long the 'surroundings' last"),
        ({"step": "all", "surroundings": {}}, "'surroundings' says nothing"),
        ({"step": "all", "surroundings": {"files": 3}}, "nofile|extra"),
        ({"step": "all", "disk": ["zeros"]}, "it goes with 'fault: bad-disk'"),
        ({"step": "all", "lasts": 3}, "says how long a disk is bad or slow"),
        ({"step": "all", "fault": "bad-disk", "disk": ["rust"]}, "errors"),
        ({"step": "all", "fault": "bad-disk", "victims": ["tree"]}, "strikes a disk: it has no 'victims'"),
        ({"step": "all", "fault": "slow", "actor": "holder"}, "goes without 'actor'"),
        ({"step": "all", "repeat": 3, "during": "create"}, "it goes with 'during: init'"),
        ({"step": "all", "repeat": 3, "actor": "holder"}, "'repeat' goes without 'actor'"),
        ({"step": "all", "fault": "power-cut", "during": "shutdown"}, "it has no 'during'"),
        ({"step": "all", "fault": "power-cut", "repeat": 2}, "it has no 'repeat'"),
    ],
)
def test_a_contradiction_is_said(keys: dict[str, Any], said: str) -> None:
    """With the keys that do not go together."""
    with pytest.raises(ValueError, match=said):
        Scenario.model_validate({"title": "t", "name": "t", **keys})


@pytest.mark.parametrize(
    "keys",
    [
        {"fault": "none", "surroundings": {"nofile": 9, "own-ipc": True}, "lasting": True},
        {"step": "all", "during": "create", "fault": "errno"},
        {"at": ["dm.remove pool#1"], "during": "shutdown", "given": "populated"},
        {"step": "all", "fault": "bad-disk", "disk": ["lost-writes"], "lasts": 0, "recovery": "reboot"},
        {"step": "mkfs", "fault": "slow", "seconds": 2.0},
        {"step": "mkfs", "repeat": 20},
    ],
)
def test_what_goes_together_is_taken(keys: dict[str, Any]) -> None:
    """Each of the new keys, with what it may stand beside."""
    assert Scenario.model_validate({"title": "t", "name": "t", **keys}).title == "t"


def test_surroundings_are_words_of_the_setup() -> None:
    """What is given, and no more; what is false is as usual."""
    one = Scenario.model_validate(
        {"title": "t", "fault": "none", "surroundings": {"nofile": 9, "read-only": True, "own-ipc": False}}
    )

    assert one.surroundings is not None
    assert one.surroundings.words == ("nofile=9", "read-only=1")
