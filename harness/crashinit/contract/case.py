"""The case before the contract: what one trial left behind, and what it is held against."""

from dataclasses import dataclass

from crashinit.contract.dmtable import PoolTable, UnreadableLineError, read_pool_table
from crashinit.contract.expectation import Expectation
from crashinit.contract.formats import DriverMetadata, read
from crashinit.contract.names import device_named
from crashinit.contract.observation import Evidence, Observation, Run
from crashinit.contract.verdict import Settled


def succeeded(run: Run) -> bool:
    """Whether an init ended well, or, for a daemon, got ready and still runs."""
    return not run.timed_out and not run.hung and run.exit in (0, None)


def ending(run: Run) -> str:
    """How a run ended, as the end of a sentence, with the last line that it wrote."""
    if run.hung:
        how = f"hangs in the kernel: it was still there after SIGKILL, {run.seconds:.1f} s after it began"
    elif run.timed_out:
        how = f"did not end in time and was ended after {run.seconds:.1f} s"
    elif run.exit is None:
        how = "still runs"
    elif run.exit < 0:
        how = f"was ended by signal {-run.exit}"
    else:
        how = f"ended with exit status {run.exit}"
    lines = run.stderr.strip().splitlines() or run.stdout.strip().splitlines()
    return f"{how}: '{lines[-1].strip()}'" if lines else f"{how} and wrote nothing"


@dataclass(frozen=True)
class Case:
    """What a clause judges. The parts are asked for by name, so that one that is missing settles the verdict.

    A problem that begins with the name of an observation's field and a colon concerns that field alone; any other
    concerns all of the observation.
    """

    evidence: Evidence
    reference: Evidence  # of an init without faults on the same configuration; its `after` counts
    expectation: Expectation

    @property
    def recovered(self) -> bool:
        """Whether some re-init succeeded. What comes only after success is not owed otherwise."""
        return any(succeeded(run) for run in self.evidence.reinits)

    def before(self, *parts: str) -> Observation:
        if self.evidence.before is None:
            raise Settled.not_applicable("the trial began on a fresh root, so there was nothing to keep")
        return _sound(self.evidence.before, "before the fault", parts)

    def after(self, *parts: str) -> Observation:
        if parts != ("kernel_log",):
            self.only_if_not_hung()
        if self.evidence.after is None:
            raise Settled.unseen("the state after the re-init was not observed")
        return _sound(self.evidence.after, "after the re-init", parts)

    def after_again(self, *parts: str) -> Observation:
        if self.evidence.after_again is None:
            self.only_if_recovered("no further init was run")
            raise Settled.unseen("the state after one more init was not observed")
        return _sound(self.evidence.after_again, "after one more init", parts)

    def after_shutdown(self, *parts: str) -> Observation:
        if self.evidence.after_shutdown is None:
            self.only_if_recovered("nothing was shut down")
            raise Settled.unseen("the state after shutdown was not observed")
        return _sound(self.evidence.after_shutdown, "after shutdown", parts)

    def fault_free(self, *parts: str) -> Observation:
        if self.reference.after is None:
            raise Settled.unseen("the state after an init without faults was not observed")
        return _sound(self.reference.after, "after an init without faults", parts)

    def only_if_recovered(self, what: str) -> None:
        """Settle with n/a if no re-init succeeded: the failure is C01's."""
        if not self.recovered:
            raise Settled.not_applicable(f"no re-init succeeded, so {what}")

    def only_if_not_hung(self) -> None:
        """Settle with n/a if the faulted init hung in the kernel, so that none came after it: the failure is C15's."""
        if self.evidence.fault_run.hung and not self.evidence.reinits:
            raise Settled.not_applicable("the init with the fault hung in the kernel, so no init came after it")

    def only_if_shut_down(self) -> None:
        """Settle with n/a if nothing was left to shut down, because one more init failed: that failure is C11's."""
        again = self.evidence.again
        if self.evidence.shutdown is None and again is not None and not succeeded(again):
            raise Settled.not_applicable("one more init failed, so nothing was there to be shut down")

    def metadata(self, observation: Observation) -> DriverMetadata:
        """What the driver's metadata says. Settles with n/a if its format is unknown."""
        if self.expectation.metadata_format == "none":
            raise Settled.not_applicable("the format of the driver's metadata is unknown")
        return read(self.expectation.metadata_format, observation.metadata, self.expectation.metadata_dir)

    def readable_metadata(self, observation: Observation) -> DriverMetadata:
        """The same, but a file that cannot be read settles with a failure."""
        metadata = self.metadata(observation)
        if metadata.unreadable:
            raise Settled.failed("; ".join(metadata.unreadable.values()))
        return metadata

    def pool_table(self, observation: Observation) -> PoolTable:
        """The live table of the driver's pool; a pool without one settles with a failure."""
        device = device_named(observation, observation.pool_name)
        if device is None:
            raise Settled.failed(f"there is no pool '{observation.pool_name}'")
        if len(device.live_table) != 1:
            raise Settled.failed(f"pool '{device.name}' has {len(device.live_table)} targets in its live table, not 1")
        try:
            return read_pool_table(device.live_table[0])
        except UnreadableLineError as error:
            raise Settled.failed(f"'{device.name}' is not a thin pool: {error}") from None


def _sound(observation: Observation, when: str, parts: tuple[str, ...]) -> Observation:
    """The observation, if nothing that concerns these parts of it went unseen."""
    for problem in observation.problems:
        part = problem.partition(":")[0]
        if part not in Observation.model_fields or not parts or part in parts:
            raise Settled.failed(f"{when} the harness could not observe everything: {problem}")
    return observation
