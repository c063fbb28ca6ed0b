"""Which keys of a scenario go together, and which do not: a key without an effect would mislead."""

from typing import TYPE_CHECKING

from crashinit.model.fault import ACTOR, ACTORS, BAD_DISK, NONE, OTHER_OWNER, POWER_CUT, SECOND_INIT, kind_of
from crashinit.model.trial import INIT, MADE_BY, on_the_machines_disk

if TYPE_CHECKING:
    from crashinit.scenario.scenario import Scenario

ALL = "all"  # instead of a step: every boundary of the init
DEFAULT_POWER_CUT_ROOT = "ext4"  # the disk of a root when the power is cut, unless a scenario says otherwise


def check(scenario: "Scenario") -> None:
    """Raise ValueError, with a sentence, where two keys contradict each other, or one has no effect."""
    if scenario.fault == NONE.name and not scenario.surroundings:
        raise ValueError("'fault: none' needs 'surroundings': what is scarce")
    if scenario.lasting and not scenario.surroundings:
        raise ValueError("'lasting' says how long the 'surroundings' last, and there are none")
    if bool(scenario.at) == bool(scenario.step) and scenario.fault != NONE.name:
        raise ValueError("give either 'step' or 'at'")
    if scenario.at_on and not scenario.at:
        raise ValueError("'at_on' says what is struck instead of 'at', and there is no 'at'")
    if unknown := scenario.at_on.keys() - scenario.expect.keys():
        raise ValueError(f"'at_on' names '{sorted(unknown)[0]}', of which nothing is expected in 'expect'")
    if scenario.steps and scenario.step != "all":
        raise ValueError("'steps' narrows 'step: all', and goes with nothing else")
    kind = kind_of(scenario.fault)
    if scenario.during != INIT and (scenario.steps or not (scenario.at or scenario.step == ALL)):
        raise ValueError(f"'during: {scenario.during}' has no steps: strike 'step: all', or give 'at'")
    if scenario.repeat > 1 and scenario.during != INIT:
        raise ValueError("'repeat' strikes one init after another: it goes with 'during: init'")
    if scenario.repeat > 1 and (scenario.actor or scenario.udev != "default" or scenario.surroundings):
        raise ValueError("'repeat' goes without 'actor', 'udev' and 'surroundings'")
    if scenario.fault == ACTOR.name and not scenario.actor:
        raise ValueError("'fault: actor' needs an 'actor': who comes")
    if scenario.actor and scenario.actor not in ACTORS and not set(scenario.actor) & set(" /"):
        raise ValueError(
            f"'actor' is '{scenario.actor}', but may only be {', '.join(map(repr, ACTORS))}, or a command: a path, or "
            "more than one word"
        )
    if "release" in scenario.model_fields_set and not scenario.actor:
        raise ValueError("'release' says when an actor lets go, and there is no 'actor'")
    if scenario.actor == SECOND_INIT and "release" in scenario.model_fields_set:
        raise ValueError(f"'{SECOND_INIT}' holds nothing that 'release' could speak of: it ends by itself")
    if scenario.actor == OTHER_OWNER and scenario.release == "never":
        raise ValueError(f"'{OTHER_OWNER}' has to let go once, to tell what it lost: 'release' may not be 'never'")
    if scenario.recovery == "reboot" and scenario.actor:
        raise ValueError("a reboot ends every actor: 'actor' goes with 'recovery: init'")
    if scenario.recovery == "reboot" and scenario.udev != "default":
        raise ValueError("a reboot starts udevd anew: 'udev' goes with 'recovery: init'")
    if kind.name != BAD_DISK.name and "disk" in scenario.model_fields_set:
        raise ValueError("'disk' says how a disk is bad: it goes with 'fault: bad-disk'")
    if not kind.on_a_disk and scenario.lasts is not None:
        raise ValueError("'lasts' says how long a disk is bad or slow, and none is")
    if kind.on_a_disk and (scenario.given.startswith(MADE_BY) or scenario.actor or scenario.repeat > 1):
        raise ValueError(f"'fault: {kind.name}' goes without 'actor', 'repeat' and a root that was made elsewhere")
    for key in scenario.model_fields_set & kind.refuses.keys():
        raise ValueError(kind.refuses[key])
    if kind.cuts_power and on_the_machines_disk(scenario.given):
        raise ValueError(f"a power cut needs 'given: {DEFAULT_POWER_CUT_ROOT}', or other disks that the root lies on")
    if not kind.cuts_power and not on_the_machines_disk(scenario.given):
        raise ValueError(f"'given: {scenario.given}' names disks, which only 'fault: {POWER_CUT.name}' needs")
