"""How often a trial ends as it did: which trials are tried again, and what their tries come to."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from crashinit import adapters
from crashinit.baseline.written import written
from crashinit.campaign import campaign
from crashinit.campaign.tries import HowOften, Tries, carried, combined, shared, shared_results, time_of, under
from crashinit.contract.said import succeeded
from crashinit.errors import UsageError
from crashinit.machine.provider import get_provider
from crashinit.model.events import RunFinished, RunStarted, TrialConfirmed, TrialFinished, TrialResult
from crashinit.model.trial import Point, Setup, Trial
from crashinit.report import Reports, file_listeners, read
from crashinit.run.kept import EVIDENCE, read_prepared, store, stored
from crashinit.scenario import scenario
from crashinit.trial.powercut import PowerCutRunner

from ..contract.builder import evidence
from ..report.events import failing, results
from ..report.events import stored as kept
from ..toys import shell_driver

# An init that was cut short between its two files: the next one fails, always or by chance, and then no more.
DRIVER = """
test -e {root}/done && exit
test -e {root}/begun && { echo unlucky >&2; FAILING; }
: > {root}/begun
sync
: > {root}/done
"""
ALWAYS = "exit 1"
BY_CHANCE = "grep -q '^[89a-f]' /proc/sys/kernel/random/uuid || exit 1"
CONVERGED, OTHER = results()[:2]
DIVERGED = replace(failing(CONVERGED, "diverged", "C01: no", {"C01": "fail"}), recovered=True)


class Luck:
    """Runs of that driver, killed before its first file and between the two."""

    def __init__(self, directory: Path, failing: str, provider: str = "qemu") -> None:
        self.provider = provider
        self.out = directory / "run"
        self.driver = str(directory / "luck.toml")
        Path(self.driver).write_text(shell_driver(DRIVER.replace("FAILING", failing), "luck"))
        self.about = {"title": "t", "name": "luck", "at": ["file.create begun#1", "file.create done#1"], "restarts": 1}

    def run(self, often: HowOften, only: str = "", **fault: object) -> dict[str, TrialResult]:
        """The results by the end of their trials' ids; of another fault, and of trials with `only` in their id."""
        strikes = [scenario.from_options({**self.about, **fault}, {})]
        with file_listeners(self.out) as emit:
            campaign.run(strikes, self.driver, self.provider, self.out, 1, lambda name: only in name, emit, often=often)
        return {result.id.removeprefix("luck/before/"): result for result in read(self.out).results}


@pytest.fixture
def luck(tmp_path: Path) -> Luck:
    """Where machines do not repeat themselves: in virtual time it would hang on the seed."""
    return Luck(tmp_path, BY_CHANCE, "qemu-real")


@pytest.fixture
def misfortune(tmp_path: Path) -> Luck:
    return Luck(tmp_path, ALWAYS)


@pytest.mark.turn(1)
def test_a_failure_that_comes_by_chance_is_named_a_race(luck: Luck) -> None:
    """Of thirteen tries some diverge: the trial has diverged, and the run keeps the evidence of either end."""
    found = luck.run(HowOften(repeat=12))
    race = found["file.create-done-1/process"]
    kept = stored(luck.out, race.id), stored(luck.out, f"{race.id}/seen-converged")
    summary = json.loads((luck.out / "summary.json").read_text())

    assert race.outcome == "diverged"
    assert race.clauses["C01"] == "fail"
    assert race.race
    times, tries = map(int, race.seen.split(" of "))
    assert (0 < times < tries, tries, len(race.tries)) == (True, 13, 13)
    assert [succeeded(evidence.reinits[0]) for evidence in kept] == [False, True]
    assert (found["file.create-begun-1/process"].outcome, found["file.create-begun-1/process"].seen) == (
        "converged",
        "13 of 13",
    )
    assert (summary["trials"], summary["diverged"], summary["races"], summary["tried_again"]) == (4, 2, 2, 4)
    assert len((luck.out / "results.jsonl").read_text().splitlines()) == 4
    # What the other trial stands for shares its tries, its verdict and its evidence.
    same = found["file.create-done-1/tree"]
    assert (same.same_as, same.outcome, same.seen, same.tries) == (race.id, race.outcome, race.seen, race.tries)
    assert not succeeded(stored(luck.out, same.id).reinits[0])
    # So does what is made of it.
    assert "sometimes = true" in written([replace(read(luck.out), results=[race])])
    assert f"seen {race.seen}: a race" in (luck.out / "junit.xml").read_text()
    assert f"a race: {race.seen}" in (luck.out / "report.html").read_text()


@pytest.mark.turn(1)
def test_a_failure_that_always_comes_is_seen_each_time(misfortune: Luck) -> None:
    """A trial that diverged is tried twice more, one that converged is not; so do pytest and a resumed run."""
    found = misfortune.run(HowOften())
    wedge = found["file.create-done-1/process"]

    assert (wedge.outcome, wedge.seen, wedge.race, len(wedge.tries)) == ("diverged", "3 of 3", False, 3)
    assert (found["file.create-begun-1/process"].outcome, found["file.create-begun-1/process"].seen) == (
        "converged",
        "",
    )
    assert not list((misfortune.out / EVIDENCE).glob("*seen-*"))

    # The other face does the same in one process; and a run that is gone on with confirms what it had not.
    runner = PowerCutRunner(get_provider("qemu"), adapters.load(misfortune.driver), misfortune.out)
    prepared = read_prepared(misfortune.out)
    trials = {trial.id: trial for trial in prepared.trials}
    with runner:
        one = campaign.run_one(runner, trials[wedge.id], prepared, misfortune.out)
        once = campaign.run_one(runner, trials[wedge.id], prepared, misfortune.out, HowOften(confirm=0))
    events: list[object] = []
    campaign.run_trials(prepared, [], misfortune.driver, "qemu", misfortune.out, 1, events.append, earlier=[once])
    assert (one.seen, once.seen) == ("3 of 3", "")
    assert [event.result.seen for event in events if isinstance(event, TrialConfirmed)] == ["3 of 3"]


@pytest.mark.parametrize(
    ("fault", "only"),
    [
        ({"fault": "errno", "errnos": ["ENOSPC"]}, "ENOSPC-once"),
        ({"fault": "power-cut", "given": "ext4"}, "/none"),
    ],
)
def test_another_fault_is_tried_again_as_well(misfortune: Luck, fault: dict[str, object], only: str) -> None:
    """A failed call and a power cut leave one file without the other, each time that they are tried."""
    found = misfortune.run(HowOften(), only, **fault, at=["file.create done#1"])

    assert {result.fault for result in found.values()} == {fault["fault"]}
    failed = [result for result in found.values() if result.outcome == "diverged"]
    assert failed, found
    assert {(result.seen, result.race, len(result.tries)) for result in failed} == {("3 of 3", False, 3)}
    assert "C01" in {clause for result in failed for clause, status in result.clauses.items() if status == "fail"}


@pytest.mark.parametrize(
    ("result", "often", "more"),
    [
        (DIVERGED, HowOften(), 2),
        (DIVERGED, HowOften(confirm=0), 0),
        (DIVERGED, HowOften(confirm=1, repeat=3), 3),
        (CONVERGED, HowOften(), 0),
        (CONVERGED, HowOften(repeat=3), 3),
        (replace(DIVERGED, same_as="other"), HowOften(), 0),
        (combined([DIVERGED, DIVERGED]), HowOften(), 0),
        (failing(CONVERGED, "error", "it died", {}), HowOften(repeat=3), 0),
        (failing(CONVERGED, "not-fired", "it never came", {}), HowOften(repeat=3), 0),
    ],
)
def test_what_is_tried_again(result: TrialResult, often: HowOften, more: int) -> None:
    """What diverged, unless it was or stands merged; what converged if that is asked for; nothing else."""
    assert often.more(result) == more


def test_a_trial_that_diverged_once_has_diverged() -> None:
    """Its result is that of the first try that did, whichever that was."""
    result = combined([CONVERGED, DIVERGED, CONVERGED])

    assert (result.outcome, result.reason, result.seen, result.race) == ("diverged", "C01: no", "1 of 3", True)
    assert [one["outcome"] for one in result.tries] == ["converged", "diverged", "converged"]


def test_a_try_that_could_not_be_judged_counts_for_nothing() -> None:
    """It says nothing of the driver: it is among the tries, and neither among the n nor a race."""
    result = combined([DIVERGED, failing(CONVERGED, "error", "the machine died", {}), DIVERGED])

    assert (result.outcome, result.seen, result.race) == ("diverged", "2 of 2", False)
    assert [one["reason"] for one in result.tries] == ["C01: no", "the machine died", "C01: no"]


@pytest.mark.parametrize("change", [{"clauses": {"C03": "fail"}}, {"recovered": False}])
def test_a_driver_that_fails_in_another_way_is_a_race_too(change: dict[str, object]) -> None:
    """It diverges each time, but not in the same clauses, or it comes up only sometimes."""
    result = combined([DIVERGED, replace(DIVERGED, **change)])  # type: ignore[arg-type]

    assert (result.seen, result.race) == ("2 of 2", True)


def test_seeds_take_the_place_of_tries_where_machines_repeat_themselves() -> None:
    """Each further try has the next seed; the result names one that fails and one that does not, if there is one."""
    tries = [replace(CONVERGED, seed=7), replace(DIVERGED, seed=8), replace(DIVERGED, seed=9)]
    result = combined(tries)

    assert (result.outcome, result.seed, result.seed_passes, result.seen) == ("diverged", 8, 7, "2 of 3")
    assert [one["seed"] for one in result.tries] == [7, 8, 9]
    assert combined(tries[1:]).seed_passes is None
    assert combined(tries[:1]).seed == 7
    assert "seed" not in combined([CONVERGED, DIVERGED]).tries[0]


def a_trial(name: str) -> Trial:
    return Trial(name, "luck", "luck", Setup("fresh", (), 60.0), Point("", "before", 1, "op"), "kill", "tree", 1)


def test_further_tries_share_the_forks_of_their_seed() -> None:
    """Trials of one boundary under one seed are a unit, one seed after the other; without seeds each try is one."""
    one, other, later = a_trial("one"), a_trial("other"), a_trial("later")
    known = {trial.id: replace(CONVERGED, id=trial.id, seed=5) for trial in (other, later)}
    known["one"] = replace(DIVERGED, id="one", seed=5)
    units = HowOften(confirm=3, seeds=3).units([[one, other], [a_trial("unknown")], [later]], known)
    found = [[(trial.id, trial.seed) for trial in unit] for unit in units]
    real = HowOften(confirm=1, repeat=1).units(
        [[one, other]], {name: replace(r, seed=None) for name, r in known.items()}
    )

    assert found == [
        [("one", 6), ("other", 6)],
        [("later", 6)],
        [("one", 7), ("other", 7)],
        [("later", 7)],
        [("one", 8)],
    ]
    assert real == [[one], [other]]


def test_a_trial_has_the_seed_of_its_machines() -> None:
    """The provider's, if it has none of its own and its machines repeat themselves."""
    trial = a_trial("one")
    virtual = get_provider("qemu-virtual:7")

    assert under(trial, virtual).seed == 7
    assert under(replace(trial, seed=9), virtual).seed == 9
    assert under(replace(trial, fault="power-cut"), virtual).seed is None
    assert under(trial, get_provider("qemu-real")) == replace(trial, guest="debian12")


def test_a_run_has_the_time_of_its_own_machines() -> None:
    """Whatever time the run was in that planned its trials."""
    kill = replace(a_trial("one"), seed=7)
    power = replace(a_trial("other"), fault="power-cut")
    virtual, cold = get_provider("qemu-virtual:7"), get_provider("qemu-cold")

    assert time_of([kill], virtual) == "virtual"
    assert time_of([kill, power], virtual) == "mixed"
    assert time_of([kill, power], cold) == "real"
    assert time_of([], virtual) == ""


def test_a_trial_has_the_guest_of_its_machines() -> None:
    """The provider's, whatever the plan's run had: its result says on what it was run."""
    assert under(replace(a_trial("one"), guest="debian12"), get_provider("qemu-real@debian13")).guest == "debian13"


def test_seeds_are_refused_where_no_machine_heeds_them() -> None:
    """The sentence names the option that does it there."""
    HowOften(seeds=1).require(get_provider("qemu-real"))
    with pytest.raises(UsageError, match="'qemu-real' takes no seeds: give '--provider qemu-virtual', or '--repeat 2'"):
        HowOften(seeds=3).require(get_provider("qemu-real"))


def test_a_try_that_another_trial_stands_for_is_its_own(tmp_path: Path) -> None:
    """Under one seed two faults are the very same and under another not; the trial's result names no other trial."""
    store(tmp_path, "one", evidence())
    tries = Tries(tmp_path, replace(CONVERGED, id="one", seed=0))
    tries.add(replace(DIVERGED, id="one", same_as="other", seed=1), evidence().model_copy(update={"same_as": "other"}))

    assert (tries.result().outcome, tries.result().same_as, tries.result().seed) == ("diverged", "", 1)
    assert stored(tmp_path, "one").same_as == ""


def test_a_result_with_seeds_can_be_read_again(tmp_path: Path) -> None:
    """All that it knows of them is on the disk, and its command names the seed with which it ends so."""
    result = combined([replace(CONVERGED, seed=7), replace(DIVERGED, seed=8)])
    with Reports(tmp_path) as emit:
        for event in (RunStarted("luck", "qemu-virtual:7", "tcg", []), TrialFinished(result), RunFinished(1.0, False)):
            emit(event)
    again = read(tmp_path).results[0]

    assert again == replace(result, replay=again.replay)
    assert again.replay.endswith(f"--run {tmp_path} --provider qemu-virtual --seed 8")


def test_a_trial_that_another_stands_for_shares_its_tries() -> None:
    """It keeps its id, and has the verdict and the tries of the other."""
    leader = combined([CONVERGED, DIVERGED])
    result = shared(replace(OTHER, same_as=leader.id), leader)

    assert (result.id, result.victim, result.same_as) == (OTHER.id, OTHER.victim, leader.id)
    assert (result.outcome, result.seen, result.tries) == ("diverged", "1 of 2", leader.tries)


def test_what_an_init_said_itself_is_not_shared(tmp_path: Path) -> None:
    """Two errors leave one state, and one init names the cause where the other did not: each keeps its own verdict.

    Two that fail in the same way keep their own words, and share how often it came.
    """
    before = replace(DIVERGED, clauses={"C15": "fail"}, reason="said nothing")
    leader = combined([before, before])
    honest = replace(CONVERGED, id="honest", same_state_as=leader.id)
    silent = replace(before, id="silent", same_state_as=leader.id, reason="said 'not supported'")
    known = {one.id: one for one in (before, honest, silent)}
    found = {one.id: one for one in shared_results(leader, known, tmp_path)}

    assert set(found) == {leader.id, "silent"}
    assert (found["silent"].reason, found["silent"].seen) == ("said 'not supported'", "2 of 2")


def test_tries_are_kept_by_a_judge_who_comes_to_the_same_verdict() -> None:
    """Of another verdict it is not known how often it would come."""
    old = combined([DIVERGED, CONVERGED])

    assert carried(old, DIVERGED) == old
    assert carried(old, CONVERGED) == CONVERGED


def test_seeds_are_kept_by_a_judge() -> None:
    """The evidence is of that seed, whatever is now said of it; with another verdict the passing one is not known."""
    old = combined([replace(CONVERGED, seed=1), replace(DIVERGED, seed=2)])

    assert carried(old, DIVERGED) == old
    assert (carried(old, CONVERGED).seed, carried(old, CONVERGED).seed_passes) == (2, None)


@pytest.fixture
def emit(tmp_path: Path) -> Iterator[Reports]:
    with Reports(tmp_path) as emit:
        yield emit


def test_a_result_that_was_confirmed_takes_the_place_of_the_one_before(emit: Reports, tmp_path: Path) -> None:
    """It is on the disk at once, and in the end there is one line a trial, in the order in which they first ended."""
    confirmed = combined([DIVERGED, CONVERGED, DIVERGED])
    for event in (RunStarted("d", "qemu", "tcg", []), TrialFinished(DIVERGED), TrialFinished(OTHER)):
        emit(event)
    emit(TrialConfirmed(confirmed))
    during = read(tmp_path).results
    emit(RunFinished(1.0, False))

    assert during == kept([OTHER, confirmed], tmp_path)
    assert read(tmp_path).results == kept([confirmed, OTHER], tmp_path)
