"""Nothing fails where nothing is wrong, and what may differ by the mask is what repeated inits show to differ.

How often an init is repeated is said by --alarms: a few times in every test run, thirty times by `make alarms`. With
--alarms-seeds they are spread over seeds, and those of one seed have to be equal.
"""

from collections.abc import Callable, Iterator

import pytest
from crashinit.adapters import load
from crashinit.contract.canonical import REPEATS, canonical, differences, mask, masked
from crashinit.contract.judge import judge
from crashinit.machine.protocol import Provider
from crashinit.machine.provider import get_provider
from crashinit.machine.seed import VIRTUAL
from crashinit.model.observation import Evidence
from crashinit.model.trial import Setup
from crashinit.trial.difference import first_difference
from crashinit.trial.runner import TrialRunner

from .alarms import UNSTABLE, unstable

SETUPS = {"init": Setup("fresh", (), 60.0), "re-init": Setup("populated", (), 60.0)}
Reference = Callable[[Setup], Evidence]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """As many repetitions as are asked for."""
    if "repetition" in metafunc.fixturenames:
        metafunc.parametrize("repetition", range(metafunc.config.getoption("--alarms")))


@pytest.fixture(scope="session")
def seeds(request: pytest.FixtureRequest) -> int:
    """Over how many seeds the repetitions are spread; 0: they have none."""
    return int(request.config.getoption("--alarms-seeds"))


@pytest.fixture(scope="session")
def runner(provider: Provider, seeds: int) -> Iterator[TrialRunner]:
    """Runs the reference driver."""
    machines = provider if provider.repeats or not seeds else get_provider(VIRTUAL)
    with TrialRunner(machines, load("reference")) as runner:
        yield runner


@pytest.fixture(scope="session")
def shown() -> dict[tuple[str, int], Evidence]:
    """What the first repetition with each seed has shown."""
    return {}


@pytest.fixture(scope="session")
def reference(runner: TrialRunner) -> Reference:
    """The evidence that the repetitions of a setup are held against; made once."""
    made: dict[Setup, Evidence] = {}

    def get(setup: Setup) -> Evidence:
        if setup not in made:
            made[setup] = runner.reference(setup)[0]
        return made[setup]

    return get


@pytest.mark.parametrize("what", SETUPS)
def test_no_false_alarm(
    what: str,
    repetition: int,
    runner: TrialRunner,
    reference: Reference,
    seeds: int,
    shown: dict[tuple[str, int], Evidence],
    record_property: Callable[[str, object], None],
) -> None:
    """An init without faults on a fresh root, or on one that was shut down, breaks no clause, whatever its seed."""
    setup = SETUPS[what]
    expectation = runner.adapter.expectation(setup.options, setup.deadline)
    first = reference(setup)
    seed = repetition % seeds if seeds else None
    evidence, _ = runner.reference(setup, seed)
    verdicts = judge(evidence, first, expectation, runner.adapter.kind)
    learned = [entry for entry in mask() if entry.shown_by == REPEATS]
    seen = [observation for observation in (first.after, evidence.after, evidence.after_again) if observation]
    states = [canonical(observation, expectation) for observation in seen]
    record_property(UNSTABLE, unstable(states))

    assert {clause: v.reason for clause, v in verdicts.items() if v.status == "fail"} == {}
    if seed is not None:
        assert first_difference(shown.setdefault((what, seed), evidence), evidence) is None
    assert len(states) == 3
    assert differences(masked(states[1], "C13", learned), masked(states[0], "C13", learned)) == []
    assert differences(masked(states[2], "C11", learned), masked(states[1], "C11", learned)) == []


def test_unstable_names_what_differs() -> None:
    """A fact is unstable when two states do not share it, be it that one lacks it."""
    states = [{"same": "1", "other": "1", "gone": "1"}, {"same": "1", "other": "2"}, {"same": "1", "other": "1"}]

    assert unstable(states) == ["gone", "other"]
    assert unstable(states[:1]) == []


def test_mask_gives_reasons() -> None:
    """Each allowed difference says why it does no harm."""
    assert [entry for entry in mask() if len(entry.reason) < 20] == []
