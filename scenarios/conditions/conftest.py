"""What the conditions share: how a recovery is judged, and how a refusal."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from crashinit.adapters.driven import Driven
from crashinit.contract.judge import judge
from crashinit.contract.said import succeeded
from crashinit.machine.protocol import Machine
from crashinit.model.observation import Evidence, Observation, Run
from crashinit.model.trial import Setup
from crashinit.trial.runner import TrialRunner

FRESH = Setup("fresh", (), 60.0)
USED = Setup("populated", (), 60.0)
FAILED = "failed clauses"  # the property of a test's report in which they are noted


@pytest.fixture(scope="session")
def reference(crashinit_runner: TrialRunner) -> Callable[[Setup], Evidence]:
    """The evidence of an init without faults, made once for each setup."""
    made: dict[Setup, Evidence] = {}

    def get(setup: Setup) -> Evidence:
        if setup not in made:
            made[setup] = crashinit_runner.reference(setup)[0]
        return made[setup]

    return get


@pytest.fixture
def machine(request: pytest.FixtureRequest, crashinit_runner: TrialRunner) -> Iterator[Machine]:
    """The machine of `used` where a test asks for that, else a fresh one."""
    given = crashinit_runner.given(USED if "used" in request.fixturenames else FRESH)
    with given.clone(forkable=True) as machine:
        yield machine


@pytest.fixture
def used(crashinit_runner: TrialRunner, machine: Machine) -> Driven:
    """The driver in a machine whose root holds a user's data and was shut down."""
    return Driven(machine, crashinit_runner.adapter, USED)


@pytest.fixture
def used_before(crashinit_runner: TrialRunner, machine: Machine) -> Observation | None:
    """What the used root of this machine looked like before it was shut down."""
    return crashinit_runner.given(USED).before


@pytest.fixture
def interrupted() -> list[Run]:
    """The inits of a test that were killed or that refused: what they had begun explains what the kernel says later."""
    return []


@pytest.fixture
def broken(
    reference: Callable[[Setup], Evidence], record_property: Callable[[str, object], None], interrupted: list[Run]
) -> Callable[..., dict[str, str]]:
    """After a run that was an init: look at the driver and, if the run succeeded, use it, start it once more and shut
    it down. The clauses that fail, each with its reason; they are noted in the test's report as well.
    """

    def examine(
        driven: Driven, run: Run, before: Observation | None = None, beside: Sequence[Run] = ()
    ) -> dict[str, str]:
        digests = before is not None
        later: dict[str, Any] = dict.fromkeys(("again", "after_again", "exercise", "shutdown", "after_shutdown"))
        after = driven.observe(digests=digests)
        if succeeded(run):
            later["again"] = driven.init()
            later["after_again"] = driven.observe(digests=digests)
            later["exercise"] = driven.exercise()
            later["shutdown"] = driven.shutdown()
            later["after_shutdown"] = driven.observe(after_shutdown=True)
        evidence = Evidence(
            trial="condition",
            fault="concurrent" if beside else "kill",
            earlier=list(beside) or interrupted,
            fault_run=run,
            fired=None,
            before=before,
            reinits=[run],
            after=after,
            **later,
        )
        expectation = driven.adapter.expectation((), driven.setup.deadline)
        verdicts = judge(evidence, reference(driven.setup), expectation, driven.adapter.kind)
        failed = {clause: verdict.reason for clause, verdict in verdicts.items() if verdict.status == "fail"}
        record_property(FAILED, json.dumps(failed))
        return failed

    return examine


@pytest.fixture
def recovers(broken: Callable[..., dict[str, str]]) -> Callable[..., Run]:
    """Start the driver (again): every clause must hold.

    Given a run that was an init already, that one is judged, with those that ran beside it.
    """

    def check(
        driven: Driven, before: Observation | None = None, run: Run | None = None, beside: Sequence[Run] = ()
    ) -> Run:
        run = run or driven.init()
        failed = broken(driven, run, before, beside)

        assert failed == {}
        assert run.exit == 0, run.stderr
        return run

    return check


@pytest.fixture
def refuses(broken: Callable[..., dict[str, str]], interrupted: list[Run]) -> Callable[..., str]:
    """Init fails with one sentence that holds these words, and touches nothing; returns the sentence.

    One that succeeds is judged by what it did to what was there `before`.
    """

    def check(driven: Driven, *words: str, before: Observation | None = None) -> str:
        untouched = seen(driven)
        run = driven.init()
        lines = run.stderr.strip().splitlines()

        if succeeded(run):
            pytest.fail(f"init succeeded, and these clauses fail: {broken(driven, run, before)}")
        interrupted.append(run)
        assert not run.timed_out
        assert len(lines) == 1, run.stderr
        assert [word for word in words if word not in lines[0]] == [], lines[0]
        assert seen(driven) == untouched
        return lines[0]

    return check


@pytest.fixture
def killed_at(interrupted: list[Run]) -> Callable[..., Run]:
    """Start an init and kill it at this boundary; the run so far."""

    def kill(driven: Driven, boundary: str, victim: str = "tree") -> Run:
        state = driven.begin_init(boundary)
        assert state["operation"], f"'{boundary}' did not occur"
        driven.machine.call("gate_kill", gate=state["gate"], victim=victim)
        interrupted.append(driven.finish(state["gate"]))
        return interrupted[-1]

    return kill


def seen(driven: Driven) -> dict[str, Any]:
    """All that an observation holds of the state; the kernel's log is none."""
    return driven.observe(digests=True).model_dump(exclude={"kernel_log", "processes"})


@pytest.fixture
def shell(machine: Machine) -> Callable[[str], str]:
    """Run a shell command in the machine; what it printed. A command that fails is an error of the test."""

    def run(command: str) -> str:
        return machine.run("sh", "-ec", command).check().stdout.strip()

    return run
