"""What the reference driver says and does under errors of calls that only ask, on a real machine."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from crashinit.adapters import load
from crashinit.contract.judge import judge, outcome
from crashinit.machine.protocol import Provider
from crashinit.model.observation import Evidence
from crashinit.model.trial import Point, Setup, Trial
from crashinit.trial.runner import TrialRunner

pytestmark = pytest.mark.xdist_group("said")
SETUP = Setup("fresh", (), 60.0, reads=True)


@pytest.fixture(scope="module")
def runner(provider: Provider) -> Iterator[TrialRunner]:
    with TrialRunner(provider, load("reference")) as runner:
        yield runner


@pytest.fixture(scope="module")
def reference(runner: TrialRunner) -> Evidence:
    return runner.reference(replace(SETUP, reads=False))[0]


@pytest.mark.parametrize(
    ("key", "error", "lasting"),
    [
        ("dm.info pool#1", "ENXIO", "always"),  # there was none, and after its creation there is none still
        ("dev.read metadata#1", "EINTR", "always"),  # Python would repeat it for ever
        ("dm.remove base#1", "EBUSY", "once"),
    ],
)
def test_an_error_is_reported_or_tolerated(
    runner: TrialRunner, reference: Evidence, key: str, error: str, lasting: str
) -> None:
    """Init ends, with a state that passes or with the cause and the step, and the next one converges."""
    runner.forget()
    point = Point("", "during", 0, key)
    trial = Trial(f"{key}/{error}", "reference", "test", SETUP, point, "errno", lasting, 3, error=error)
    evidence, _ = runner.run(trial)

    assert evidence.fired is not None and evidence.fired.key == key
    verdicts = judge(evidence, reference, load("reference").expectation((), 60.0), load("reference").kind)
    assert outcome(verdicts, evidence, load("reference").kind) == ("converged", "")
