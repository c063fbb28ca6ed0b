"""What was done in a trial, in words: 'kill (driver and children)', 'EIO, once', 'power cut'."""

from crashinit.model.events import TrialResult
from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence

WHOM = {"tree": "driver and children", "process": "driver alone"}
OFTEN = {"once": "once", "always": "each time"}


def strike(result: TrialResult) -> str:
    """What struck, in a few words. Trials of one run with the same words differ in the place only."""
    kind = kind_of(result.fault)
    if kind.fails_a_call:
        error = result.id.rpartition("/")[2].rpartition("-")[0]
        return f"{error or 'an error'}, {OFTEN.get(result.victim, result.victim)}"
    if kind.cuts_power:
        return "power cut"
    whom = result.victim if kind.on_a_disk and result.victim != result.fault else WHOM.get(result.victim, "")
    named = f"{result.fault} ({whom})" if whom else result.fault
    # An exploration says in its name what comes beside the fault: 'explore/kill/holder-never', 'explore/kill/populated'
    beside = result.scenario.removeprefix(f"explore/{result.fault}").strip("/")
    return f"{named}, {beside}" if result.scenario.startswith("explore/") and beside else named


def place(result: TrialResult) -> str:
    """Where it struck: 'operation 12, loop.configure data#1'."""
    return f"operation {result.boundary}, {result.operation}" if result.boundary else result.operation


def sentence(result: TrialResult, evidence: Evidence | None = None) -> str:
    """What was done and where, as a sentence."""
    kind, at = kind_of(result.fault), place(result)
    if evidence is not None and evidence.fired is None:
        return f"The fault was to strike at {at}, and never did."
    if kind.fails_a_call:
        return f"{strike(result).replace(', once', ' once')}: returned by {at}."
    if kind.cuts_power:
        return f"The power was cut when init had come to {at}; crash state {result.id.rpartition('/')[2]}."
    if kind.kills:
        who = "The driver and its children were" if result.victim == "tree" else "The driver alone was"
        return f"{who} killed before {at}."
    return f"Fault '{strike(result)}' {'from' if kind.on_a_disk else 'before'} {at}{' on' if kind.on_a_disk else ''}."
