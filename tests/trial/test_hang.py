"""A driver that hangs in the kernel, from adapter to outcome: its failure, with evidence, and no error of ours."""

from collections.abc import Iterator

import pytest
from crashinit.adapters import Adapter, load
from crashinit.contract.judge import judge, outcome
from crashinit.machine.protocol import Provider
from crashinit.model.observation import Evidence
from crashinit.model.trial import Point, Setup, Trial
from crashinit.trial.runner import TrialRunner

pytestmark = pytest.mark.xdist_group("trial")
ROOT = "/var/lib/h"
# It hangs where an earlier init was cut short, and where it cannot make its last directory.
INIT = f"""
hang() {{
    dmsetup create h --table '0 8 zero'
    dmsetup suspend h
    exec dd if=/dev/zero of=/dev/mapper/h bs=4096 count=1 conv=fsync
}}
[ -e {ROOT}/begun ] && hang
mkdir -p {ROOT} && touch {ROOT}/begun && {{ mkdir -p {ROOT}/done || hang; }} && rm {ROOT}/begun
"""
SETUP = Setup("fresh", (), 15.0)
POINT = Point("loopback", "during", 5, "file.mkdir done#1")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Adapter:
    directory = tmp_path_factory.mktemp("adapter")
    (directory / "init.sh").write_text(INIT)
    (directory / "h.toml").write_text(
        f"""
name = "h"
title = "a driver that hangs"
root = "{ROOT}"
init = ["sh", "/usr/local/bin/h-init"]
shutdown = ["true"]

[install]
files = [{{ source = "init.sh", target = "/usr/local/bin/h-init" }}]
"""
    )
    return load(str(directory / "h.toml"))


@pytest.fixture(scope="module")
def runner(provider: Provider, adapter: Adapter) -> Iterator[TrialRunner]:
    with TrialRunner(provider, adapter) as runner:
        yield runner


def end(runner: TrialRunner, evidence: Evidence) -> tuple[str, str]:
    """Outcome and reason by the whole contract, with the evidence for its own reference: only the hang counts here."""
    expectation = runner.adapter.expectation((), SETUP.deadline)
    return outcome(judge(evidence, evidence, expectation, runner.adapter.kind), evidence, runner.adapter.kind)


def test_a_re_init_that_hangs_in_the_kernel_is_the_drivers_failure(runner: TrialRunner) -> None:
    """The trial ends as diverged by C01, and its evidence holds the state and what the kernel said of the hang."""
    evidence, _ = runner.run(Trial("killed", "h", "hang", SETUP, POINT, "kill", "tree", restarts=3))

    assert [(run.exit, run.timed_out, run.hung) for run in evidence.reinits] == [(None, True, True)]
    assert evidence.after is not None
    assert any("blocked for more than" in line for line in evidence.after.kernel_log)
    word, reason = end(runner, evidence)
    assert word == "diverged"
    assert reason.startswith("C01 init-succeeds: the first re-init hangs in the kernel")


@pytest.mark.turn(1)
def test_an_init_that_hangs_under_an_error_is_the_drivers_failure(runner: TrialRunner) -> None:
    """The trial ends as diverged by C15; no init is tried in a machine that hangs, and none is held against it."""
    trial = Trial("failed", "h", "hang", SETUP, POINT, "errno", "once", restarts=3, error="EIO")
    evidence, _ = runner.run(trial)

    assert (evidence.fault_run.hung, evidence.reinits) == (True, [])
    word, reason = end(runner, evidence)
    assert word == "diverged"
    assert reason.startswith("C15 honest: with an error at 'file.mkdir done#1' init hangs in the kernel")
