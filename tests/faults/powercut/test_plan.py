"""The plan of a power-cut campaign, and trials of the reference driver from it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.adapters import load
from crashinit.campaign.second import second_cuts
from crashinit.contract.judge import judge, outcome
from crashinit.errors import GuestError, UsageError
from crashinit.faults.powercut.disk import differ
from crashinit.faults.powercut.layout import layout_of, layouts_of
from crashinit.faults.powercut.plan import distinct, setup_of, trials
from crashinit.faults.powercut.record import LoggedInit, Recorder
from crashinit.machine.protocol import Provider
from crashinit.model.observation import Evidence
from crashinit.model.trial import Trial
from crashinit.run.kept import RECORDINGS
from crashinit.scenario.scenario import Scenario
from crashinit.trial.powercut import POWER_GONE, PowerCutRunner, recording_name

ADAPTER = load("reference")
pytestmark = pytest.mark.xdist_group("plan of power cuts")  # one worker records the inits


def scenario(given: str, **keys: object) -> Scenario:
    about = {"title": "t", "name": f"power/{given}", "fault": "power-cut", "given": given, **keys}
    return Scenario.model_validate(about)


class Campaign:
    """A runner with one recorded init, and the plan of all its crash states."""

    def __init__(self, runner: PowerCutRunner, given: str) -> None:
        self.runner = runner
        self.given = given
        self.setup = setup_of(scenario(given, step="all"), ADAPTER)
        self.recorded, self.reference = runner.record(self.setup)
        self.recorded.store(runner.out / RECORDINGS / recording_name(ADAPTER, self.setup))
        self.trials, self.left_out = self.plan(step="all")

    def plan(self, **keys: object) -> tuple[list[Trial], list[str]]:
        """The trials of another scenario over the same recording."""
        return trials(scenario(self.given, **keys), self.recorded, "reference", ADAPTER)

    def trial(self, end: str) -> Trial:
        """The trial whose id ends so."""
        return next(trial for trial in self.trials if trial.id.endswith(end))

    def judged(self, evidence: Evidence) -> tuple[str, str, dict[str, str]]:
        """Outcome, its reason, and the status of each clause."""
        verdicts = judge(
            evidence, self.reference, ADAPTER.expectation(self.setup.options, self.setup.deadline), ADAPTER.kind
        )
        return *outcome(verdicts, evidence, ADAPTER.kind), {
            clause: verdict.status for clause, verdict in verdicts.items()
        }


@pytest.fixture(scope="module", params=[pytest.param("ext4-populated", marks=pytest.mark.turn(0)), "block"])
def explored(
    request: pytest.FixtureRequest, provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Campaign]:
    with PowerCutRunner(provider, ADAPTER, tmp_path_factory.mktemp("out")) as runner:
        yield Campaign(runner, request.param)


def test_each_image_is_tried_once(explored: Campaign) -> None:
    """No two states of the plan have the same disks, and it says how many were merged."""
    found = distinct(explored.recorded, explored.recorded.states.values())
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
    assert all(trial.startswith(f"power/{explored.given}/") for trial in ids)
    assert {trial.fault for trial in explored.trials} == {"power-cut"}


def test_exploration_of_one_step(explored: Campaign) -> None:
    """An exploration that is narrowed to a step has trials of that step only, and says what it left out."""
    trials, left_out = explored.plan(step="all", steps=["pool-create"])

    assert {trial.point.step for trial in trials} == {"pool-create"}
    assert any("in other steps than pool-create" in said for said in left_out)


def test_bounds_of_a_step(explored: Campaign) -> None:
    """Before a step and after it the power goes at that moment; during it, at every moment inside."""
    [(step, _)] = Counter(trial.point.step for trial in explored.trials).most_common(1)
    bounds, _ = explored.plan(step=step, phases=["before", "after"])
    whole, _ = explored.plan(step=step)
    operations = explored.recorded.operations
    first, *_, after = [next(o.n for o in operations if o.key == trial.point.operation) for trial in bounds]

    assert {trial.point.phase for trial in bounds} == {"before", "after"}
    assert bounds[0].id == whole[0].id
    assert all(first <= trial.point.n <= after for trial in whole)
    assert "during" in {trial.point.phase for trial in whole}
    assert all(trial.id.startswith(f"power/{explored.given}/{trial.point.phase}/") for trial in whole)


def test_power_cut_that_never_comes(explored: Campaign) -> None:
    """A point that does not occur makes a trial that does not fire, which is no pass."""
    [trial], _ = explored.plan(at=["exec mkfs.btrfs#1"])
    evidence, _ = explored.runner.run(trial)

    assert explored.judged(evidence)[0] == "not-fired"


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
    assert {"image", "clone", "plug", "mount", "init", "probe", "exercise", "shutdown", "total"} <= seconds.keys()


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
    path = explored.runner.out / RECORDINGS / recording_name(ADAPTER, explored.setup)

    assert LoggedInit.read(path) == explored.recorded


def test_second_power_cut(explored: Campaign) -> None:
    """A power cut during the init after a power cut: both are in the evidence, and the driver still recovers."""
    seconds, [said] = second_cuts(explored.runner, explored.trials, 1)
    evidence, _ = explored.runner.run(seconds[0])
    verdict, reason, _ = explored.judged(evidence)

    assert "/then/" in seconds[0].id
    assert "second power cuts" in said
    assert (verdict, reason) == ("converged", "")
    assert [run.exit for run in (*evidence.earlier, evidence.fault_run)] == [POWER_GONE, POWER_GONE]


def test_second_power_cut_after_a_state_that_does_not_mount(explored: Campaign, tmp_path: Path) -> None:
    """The init after it cannot be recorded: that is the error of one trial, and the others are planned all the same."""
    name = recording_name(ADAPTER, explored.setup)
    damaged = replace(explored.recorded, initial=tuple(() for _ in explored.recorded.initial))
    damaged.store(tmp_path / RECORDINGS / name)
    with PowerCutRunner(explored.runner.provider, ADAPTER, tmp_path) as runner:
        [trial], said = second_cuts(runner, explored.trials[:1], 3)
        with pytest.raises(GuestError, match=r"'mount .*' ended with"):
            runner.run(trial)

    assert trial.id == f"{explored.trials[0].id}/then/unrecorded"
    assert said[1].startswith(f"{explored.trials[0].id}: the init after it, which could not be recorded: 'mount ")


def test_second_power_cut_in_an_init_that_fails(explored: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such an init is recorded like any other, and the log of its disks is held against them."""
    checked: list[None] = []
    check = Recorder.check
    monkeypatch.setattr(Recorder, "check", lambda self: checked.append(check(self)))
    command = f"touch {ADAPTER.root}/here && sync && exit 3"
    failing = ADAPTER.model_copy(update={"init": ("sh", "-c", command, "sh", "{options}")})
    monkeypatch.setattr(explored.runner, "adapter", failing)
    recorded = explored.runner.record_again(explored.trials[len(explored.trials) // 2])

    assert recorded.run.exit == 3
    assert any(recorded.logs)
    assert checked == [None]


def test_layouts_of_a_driver_without_options() -> None:
    """A driver that takes no storage options cannot be led to disks of the pool's own."""
    assert layouts_of(ADAPTER) == ["ext4", "xfs", "block"]
    assert layouts_of(load("containerd")) == ["ext4", "xfs"]


def test_adapter_that_cannot_be_led_to_disks() -> None:
    """To ask for them all the same is refused in one sentence."""
    with pytest.raises(UsageError, match="'containerd' takes no storage options"):
        layout_of(setup_of(scenario("block", step="all"), ADAPTER)).adapted(load("containerd"))
