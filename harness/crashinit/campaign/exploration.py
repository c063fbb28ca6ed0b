"""An exploration: scenarios that strike every boundary, made from options instead of files."""

from collections.abc import Mapping, Sequence

from crashinit import adapters
from crashinit.faults.powercut.layout import layouts_of
from crashinit.model.fault import ACTOR, ACTORS, kind_of
from crashinit.model.trial import FRESH, INIT
from crashinit.scenario.scenario import Scenario, from_options

# The option that sets a scenario's key
OPTION_OF = {
    "victims": "--victim",
    "errnos": "--errno",
    "steps": "--step",
    "given": "--given",
    "recovery": "--recovery",
    "deadline": "--deadline",
    "fault": "--fault",
    "seconds": "--seconds",
    "actor": "--actor",
    "release": "--release",
    "udev": "--udev",
    "during": "--during",
}
UNNAMED_IN_IDS = (FRESH, INIT)  # values that the name of an exploration, and so its trials' ids, leave out


def exploration(
    driver: str, fault: str, given: Sequence[str] | None, errnos: str, asked: Mapping[str, object]
) -> list[Scenario]:
    """One scenario for each root. Raises UsageError, which names options.

    `given`: the roots; without any, all that the driver has where the fault cuts the power, else a fresh one.
    `errnos`: names of errors, apart by commas. `asked`: other keys of the scenario; what is empty is left out.
    """
    roots = given or (layouts_of(adapters.load(driver)) if kind_of(fault).cuts_power else [FRESH])
    data = {key: value for key, value in asked.items() if value or isinstance(value, float)}
    if errnos:
        data["errnos"] = [word.strip().upper() for word in errnos.split(",")]
    struck = str(data.get("during", INIT))
    actor, udev = data.get("actor"), data.get("udev")
    beside = [
        f"during-{struck}" if struck != INIT else "",
        "" if fault == ACTOR.name or not actor else f"{_short(str(actor))}-{data.get('release', 'after')}",
        f"udev-{udev}" if udev else "",
    ]
    return [
        from_options(
            {
                "title": f"Every boundary of the {struck} is struck: {fault}.",
                "name": _named("explore", fault, root, str(data.get("recovery", "")), *beside),
                "fault": fault,
                "step": "all",
                "given": root,
                **data,
            },
            OPTION_OF,
        )
        for root in dict.fromkeys(roots)
    ]


def _named(*words: str) -> str:
    """The name of an exploration."""
    return "/".join(word for word in words if word and word not in UNNAMED_IN_IDS)


def _short(actor: str) -> str:
    return actor if actor in ACTORS else "command"
