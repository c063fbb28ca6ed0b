"""The case before the contract: what one trial left behind, and what it is held against."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crashinit.contract.expectation import NO_FORMAT, Expectation
from crashinit.contract.formats import DriverMetadata, read
from crashinit.contract.said import refused, succeeded
from crashinit.contract.verdict import SHOWN, BrokenStateError, NotApplicableError, NotSeenError, listed
from crashinit.model.observation import Evidence, Observation

if TYPE_CHECKING:
    from crashinit.contract.family import Family


@dataclass(frozen=True)
class Case:
    """What a clause judges. The parts are asked for by name, so that one that is missing ends the clause early.

    What could not be observed begins with the names of an observation's fields, and a colon: "pool, base: ..." concerns
    these alone; a sentence without them concerns all of the observation. Of the driver's own doing is only what is
    wrong with a state after the fault; what is wrong before it, or without it, says nothing of this trial.
    """

    evidence: Evidence
    reference: Evidence  # of an init without faults on the same configuration; its `after` counts
    expectation: Expectation
    family: "Family"

    @property
    def recovered(self) -> bool:
        """Whether some re-init succeeded. What comes only after success is not owed otherwise."""
        return any(succeeded(run) for run in self.evidence.reinits)

    def before(self, *parts: str) -> Observation:
        if self.evidence.before is None:
            raise NotApplicableError("the trial began on a fresh root, so there was nothing to keep")
        return _seen(self.evidence.before, "before the fault", parts)

    def after(self, *parts: str) -> Observation:
        if parts != ("kernel_log",):
            self.demand_a_further_init()
        if self.evidence.after is None:
            raise NotSeenError("the state after the re-init was not observed")
        return _sound(self.evidence.after, "after the re-init", parts)

    def after_again(self, *parts: str) -> Observation:
        if self.evidence.after_again is None:
            self.demand_success("no further init was run")
            raise NotSeenError("the state after one more init was not observed")
        return _sound(self.evidence.after_again, "after one more init", parts)

    def after_shutdown(self, *parts: str) -> Observation:
        if self.evidence.after_shutdown is None:
            self.demand_success("nothing was shut down")
            self._demand_to_be_alone()
            raise NotSeenError("the state after shutdown was not observed")
        return _sound(self.evidence.after_shutdown, "after shutdown", parts)

    def fault_free(self, *parts: str) -> Observation:
        if self.reference.after is None:
            raise NotSeenError("the state after an init without faults was not observed")
        return _seen(self.reference.after, "after an init without faults", parts)

    def demand_success(self, otherwise: str) -> None:
        """End the clause as n/a if no re-init succeeded, which is C01's failure; `otherwise`: what was left undone."""
        if not self.recovered:
            raise NotApplicableError(f"no re-init succeeded, so {otherwise}")

    def demand_a_further_init(self) -> None:
        """End the clause as n/a if the faulted init hung in the kernel, so that none came after it: that is C15's."""
        if self.evidence.fault_run.hung and not self.evidence.reinits:
            raise NotApplicableError("the init with the fault hung in the kernel, so no init came after it")

    def demand_completion(self) -> None:
        """End the clause as n/a if init refuses, and says so, for as long as somebody else is there."""
        actor, reinits = self.evidence.actor, self.evidence.reinits
        if actor and actor.got and actor.release == "never" and reinits and all(map(refused, reinits)):
            raise NotApplicableError(f"somebody else ('{actor.name}') is there to the end, and init refuses")

    def demand_a_shutdown(self) -> None:
        """End the clause as n/a if nothing could be shut down: one more init failed (C11), the exercise hung (C08)."""
        self._demand_to_be_alone()
        if self.evidence.exercise is not None and self.evidence.exercise.hung:
            raise NotApplicableError("the exercise of the base hung, so nothing could be shut down after it")
        again = self.evidence.again
        if self.evidence.shutdown is None and again is not None and not succeeded(again):
            raise NotApplicableError("one more init failed, so nothing was there to be shut down")

    @property
    def held(self) -> frozenset[str]:
        """Names of the devices that somebody else holds to the end: what is removed of these goes only then."""
        actor = self.evidence.actor
        return frozenset(actor.got) if actor and actor.release == "never" else frozenset()

    def _demand_to_be_alone(self) -> None:
        actor = self.evidence.actor
        if actor and actor.got and actor.release == "never" and self.evidence.shutdown is None:
            raise NotApplicableError(f"somebody else ('{actor.name}') is there to the end, so nothing was shut down")

    def metadata(self, observation: Observation) -> DriverMetadata:
        """What the driver's metadata says. Ends the clause as n/a if its format is unknown."""
        if self.expectation.metadata_format == NO_FORMAT:
            raise NotApplicableError("the format of the driver's metadata is unknown")
        return read(self.expectation.metadata_format, observation.metadata, self.expectation.metadata_dir)

    def readable_metadata(self, observation: Observation) -> DriverMetadata:
        """The same, but a file that cannot be read is a failure."""
        metadata = self.metadata(observation)
        if metadata.unreadable:
            raise BrokenStateError(listed([*metadata.unreadable.values()], SHOWN))
        return metadata


def _sound(observation: Observation, when: str, parts: tuple[str, ...]) -> Observation:
    """The observation, if all of these parts could be observed: a state that does not let itself be is broken."""
    if problem := _concerning(observation.problems, parts):
        raise BrokenStateError(f"{when} not everything could be observed: {problem}")
    return _seen(observation, when, parts)


def _seen(observation: Observation, when: str, parts: tuple[str, ...]) -> Observation:
    """The observation, if all of these parts were observed, whosever fault it is."""
    if missing := _concerning([*observation.unseen, *observation.problems], parts):
        raise NotSeenError(f"{when} the harness could not observe everything: {missing}")
    return observation


def _concerning(sentences: list[str], parts: tuple[str, ...]) -> str:
    """The first of these sentences that concerns one of the parts; any part where none is named. "": there is none."""
    for sentence in sentences:
        named = sentence.partition(":")[0].split(", ")
        if not parts or not set(named) <= Observation.model_fields.keys() or set(named) & set(parts):
            return sentence
    return ""
