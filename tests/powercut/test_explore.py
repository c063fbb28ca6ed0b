"""The plan of a power-cut campaign, and trials of the reference driver from it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from crashinit.adapters import load
from crashinit.adapters.expectation import expectation_of
from crashinit.contract.judge import judge, outcome
from crashinit.contract.observation import Evidence
from crashinit.errors import UsageError
from crashinit.machine.protocol import Provider
from crashinit.plan import Setup, Trial
from crashinit.powercut.disk import differ
from crashinit.powercut.explore import distinct, plan, second_cuts, setups
from crashinit.powercut.record import RECORDINGS, Recorded
from crashinit.powercut.runner import POWER_GONE, PowerCutRunner, recording_name

ADAPTER = load("reference")


class Campaign:
    """A runner with one recorded init, and the plan that follows from it."""

    def __init__(self, runner: PowerCutRunner, setup: Setup) -> None:
        self.runner = runner
        self.setup = setup
        self.recorded, self.reference = runner.record(setup)
        self.recorded.store(runner.out / RECORDINGS / recording_name(setup))
        self.trials, self.left_out = plan(self.recorded, setup, "reference")

    def trial(self, end: str) -> Trial:
        """The trial whose id ends so."""
        return next(trial for trial in self.trials if trial.id.endswith(end))

    def judged(self, evidence: Evidence) -> tuple[str, str, dict[str, str]]:
        """Outcome, its reason, and the status of each clause."""
        verdicts = judge(evidence, self.reference, expectation_of(ADAPTER, self.setup.options, self.setup.deadline))
        return *outcome(verdicts, evidence), {clause: verdict.status for clause, verdict in verdicts.items()}


@pytest.fixture(scope="module", params=["ext4-populated", "block"])
def explored(
    request: pytest.FixtureRequest, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Campaign]:
    [setup] = setups([request.param])
    with PowerCutRunner(provider, ADAPTER, tmp_path_factory.mktemp("out")) as runner:
        yield Campaign(runner, setup)


def test_each_image_is_tried_once(explored: Campaign) -> None:
    """No two states of the plan have the same disks, and it says how many were merged."""
    found = distinct(explored.recorded)
    images = [explored.recorded.disks(state) for state in found.states[:12] if state.phase != "after"]

    assert len(explored.trials) == len(found.states) > 1
    assert found.merged == len(explored.recorded.states) - len(found.states) > 0
    assert any(f"{found.merged} crash states" in said for said in explored.left_out)
    for number, image in enumerate(images):
        for other in images[:number]:
            assert any(differ(one, two) is not None for one, two in zip(image, other, strict=True))


def test_ids_are_unique_and_plain(explored: Campaign) -> None:
    """An id names layout, operation and state, and stands for one trial."""
    ids = [trial.id for trial in explored.trials]

    assert len(set(ids)) == len(ids)
    assert all(trial.startswith(f"explore/power-cut/{explored.setup.given}/") for trial in ids)
    assert {trial.fault for trial in explored.trials} == {"power-cut"}


def test_plan_of_one_step(explored: Campaign) -> None:
    """A plan of one step has the trials of that step, and says what it left out."""
    wanted = {trial.id for trial in explored.trials if trial.point.step == "pool-create"}
    trials, left_out = plan(explored.recorded, explored.setup, "reference", ["pool-create"])

    assert {trial.id for trial in trials} == wanted
    assert any("outside the steps pool-create" in said for said in left_out)


def test_power_cut_in_the_middle(explored: Campaign) -> None:
    """From a state in the middle of the init, the driver reaches the whole contract; user data are kept."""
    before = [trial for trial in explored.trials if trial.point.phase != "after"]
    evidence, seconds = explored.runner.run(before[len(before) // 2])
    verdict, reason, clauses = explored.judged(evidence)

    assert (verdict, reason) == ("converged", "")
    assert evidence.fault_run.exit == POWER_GONE
    assert evidence.fired == evidence.fault_run.operations[-1]
    assert clauses["C14"] == "n/a"
    assert clauses["C12"] == ("pass" if evidence.before else "n/a")
    assert seconds["total"] > seconds["init"]


def test_power_cut_after_success(explored: Campaign) -> None:
    """What init had reported as done survives a power cut right after (C14)."""
    evidence, _ = explored.runner.run(explored.trial("/after-none"))
    verdict, reason, clauses = explored.judged(evidence)

    assert (verdict, reason) == ("converged", "")
    assert evidence.fault_run.exit == 0
    assert clauses["C14"] == "pass"


def test_state_that_was_never_recorded(explored: Campaign, tmp_path: Path) -> None:
    """A trial of another recording is an error that names it."""
    trial = Trial.from_json({**explored.trials[0].as_json(), "state": "flush-99"})

    with pytest.raises(UsageError, match="has no crash state"):
        explored.runner.run(trial)


def test_recording_comes_back(explored: Campaign) -> None:
    """What workers read is what was recorded."""
    path = explored.runner.out / RECORDINGS / recording_name(explored.setup)

    assert Recorded.read(path) == explored.recorded


def test_second_power_cut(explored: Campaign) -> None:
    """A power cut during the init after a power cut: both are in the evidence, and the driver still recovers."""
    trials, [said] = second_cuts(explored.runner, explored.trials, 1)
    evidence, _ = explored.runner.run(trials[0])
    verdict, reason, _ = explored.judged(evidence)

    assert "/then/" in trials[0].id
    assert "second power cuts" in said
    assert (verdict, reason) == ("converged", "")
    assert [run.exit for run in (*evidence.earlier, evidence.fault_run)] == [POWER_GONE, POWER_GONE]


def test_unknown_layout() -> None:
    """A layout that does not exist is refused with those that do."""
    with pytest.raises(UsageError, match=r"no disk layout 'btrfs'.*ext4, xfs, block"):
        setups(["btrfs"])
