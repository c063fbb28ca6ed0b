"""Scenario + trace -> the trials of the faults that strike a held init, with stable ids."""

from collections.abc import Sequence
from dataclasses import replace

from crashinit.contract.family import Family
from crashinit.faults import FAULTS, Acting
from crashinit.faults.actor import without_anything_to_take
from crashinit.faults.disk import NO_ACTIVITY, Activity, idle
from crashinit.model.fault import BAD_DISK, LOST, MAKE_AN_EVENT, kind_of
from crashinit.model.observation import OperationRecord, Run
from crashinit.model.trial import INIT, Point, Trial
from crashinit.scenario import plan
from crashinit.scenario.scenario import Scenario


def trials(scenario: Scenario, run: Run, driver: str, family: Family, activity: Activity = NO_ACTIVITY) -> list[Trial]:
    """Every trial of one scenario on an init like this one, in the order of its trace.

    `activity`: of a fault on a disk, what of it reaches that.
    """
    operations = run.operations
    acting = acting_in(run)
    nothing = _idle(scenario, operations)
    untouched = _untouched(scenario, operations, activity)
    struck = plan.points(scenario, operations, family)
    short = plan.slugs([*acting, *(point.operation for point in struck)])
    return [
        Trial(
            id="/".join(
                part for part in (scenario.name, _phase(scenario, point), short[point.operation], way.name) if part
            ),
            driver=driver,
            scenario=scenario.name,
            setup=plan.setup_of(scenario),
            point=point,
            fault=scenario.fault,
            victim=way.victim,
            restarts=scenario.restarts,
            error=way.error,
            seconds=way.seconds,
            actor=scenario.actor,
            udev="" if scenario.udev == "default" else scenario.udev,
            release=scenario.release if scenario.actor else "",
            recovery=scenario.recovery,
            repeat=scenario.repeat,
            lasts=_lasts(scenario),
        )
        for point in struck
        if point.operation not in nothing
        for way in FAULTS[scenario.fault].ways(scenario, acting.get(point.operation))
        if point.operation not in untouched.get(way.name, ())
    ]


def acting_in(run: Run) -> dict[str, Acting]:
    """By operation, what is about to happen at its boundary."""
    return {one.key: Acting(one.kind, one.pid == run.pid) for one in run.operations}


def _lasts(scenario: Scenario) -> int:
    usual = 1 if scenario.fault == BAD_DISK.name else 0
    return usual if scenario.lasts is None else scenario.lasts


def _untouched(scenario: Scenario, operations: Sequence[OperationRecord], activity: Activity) -> dict[str, set[str]]:
    """Of a fault on a disk, by its way the boundaries at which it would change nothing."""
    if not kind_of(scenario.fault).on_a_disk:
        return {}
    keys = [operation.key for operation in operations]
    ways = FAULTS[scenario.fault].ways(scenario, None)
    return {way.name: idle(way.victim, keys, activity, _lasts(scenario)) for way in ways}


def _idle(scenario: Scenario, operations: Sequence[OperationRecord]) -> set[str]:
    """Boundaries at which what comes beside the fault has nothing to do."""
    # A driver that is up has its devices already.
    found = without_anything_to_take(scenario.actor, operations) if scenario.during == INIT else set()
    if scenario.udev == LOST:
        found |= {operation.key for operation in operations if operation.kind not in MAKE_AN_EVENT}
    return found


def left_out(scenario: Scenario, run: Run, family: Family, activity: Activity = NO_ACTIVITY) -> list[str]:
    """Of the boundaries that a scenario names, those at which it has nothing to do, as sentences."""
    acting = acting_in(run)
    nothing = _idle(scenario, run.operations)
    keys = [point.operation for point in plan.points(scenario, run.operations, family)]
    count = sum(key in nothing for key in keys)
    mute = sum(not FAULTS[scenario.fault].ways(scenario, acting.get(key)) for key in keys if key not in nothing)
    idly = "no event is made that could be lost"
    if scenario.actor:
        idly = f"'{scenario.actor}' finds nothing to take"
    untouched = _untouched(scenario, run.operations, activity)
    on_disk = [(sum(key in found for key in keys), f"'{way}' would change nothing") for way, found in untouched.items()]
    counted = ((mute, f"'{scenario.fault}' has nothing to strike"), (count, idly), *on_disk)
    return [f"{scenario.name}: {count} operations at which {what}" for count, what in counted if count]


def _phase(scenario: Scenario, point: Point) -> str:
    """What stands for the phase in an id: a scenario of all boundaries strikes each of them once."""
    return "" if scenario.step == "all" else point.phase


def second_crashes(first: Trial, reinit: Sequence[OperationRecord], family: Family) -> list[Trial]:
    """The re-init of a trial, crashed at each of its own boundaries in turn, by the same victim."""
    steps = family.steps_of(reinit)
    short = plan.slugs(operation.key for operation in reinit)
    return [
        replace(
            first,
            id=f"{first.id}/then/{short[operation.key]}",
            point=Point(step, "before" if steps.index(step) == index else "during", operation.n, operation.key),
            earlier=first.point,
        )
        for index, (operation, step) in enumerate(zip(reinit, steps, strict=True))
    ]
