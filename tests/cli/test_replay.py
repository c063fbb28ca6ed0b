"""`crashinit replay`: which trials, of which run, in which machines."""

from dataclasses import replace
from pathlib import Path

import pytest
from crashinit.campaign.tries import combined
from crashinit.cli import replay
from crashinit.cli.app import ProviderName
from crashinit.errors import UsageError

from ..report.events import failing, mixed, report, results
from ..toys import planned


def test_replay_takes_the_seed_that_fails() -> None:
    """That of the trial's result in the run, and the run's provider; of a run without seeds the default one."""
    result = combined([replace(results()[0], seed=7), replace(failing(results()[0], "diverged", "no", {}), seed=8)])
    plan = [planned(result.id), planned("other")]
    report(Path("run"), [result])
    assert replay.machines_of(None, None, 1, "", Path("run")) == "qemu"
    Path("run/run.json").write_text('{"provider": "qemu-virtual:7"}')

    assert [trial.seed for trial in replay._with_their_seeds(plan, Path("run"))] == [8, None]
    assert replay._with_their_seeds(plan, Path("nowhere")) == plan
    assert replay.machines_of(None, None, 1, "", Path("run")) == "qemu-virtual:7"
    assert replay.machines_of(None, None, 5, "", Path("nowhere")) == "qemu:0"
    assert replay.machines_of(None, 9, 1, "", Path("run")) == "qemu-virtual:9"


def test_replay_takes_the_guest_that_the_run_had() -> None:
    """On whatever provider, unless another guest is asked for; a guest is no reason to have the run's provider."""
    report(Path("run"), results())
    Path("run/run.json").write_text('{"provider": "qemu-cold", "guest": "debian13"}')

    assert replay.machines_of(None, None, 1, "", Path("run")) == "qemu@debian13"
    assert replay.machines_of(ProviderName.QEMU_REAL, None, 1, "sid", Path("run")) == "qemu-real@sid"
    assert replay.machines_of(None, None, 1, "debian12", Path("run")) == "qemu"


def test_replay_of_what_failed() -> None:
    """Of a plan only what did not converge, by one clause if one is named, and of one fault one trial."""
    done = mixed()
    done.append(replace(done[0], id="twin", same_as=done[0].id))
    report(Path("run"), done)
    plan = [planned(result.id) for result in done]
    found = replay._failed(plan, Path("run"), None)

    assert [trial.id for trial in found] == [done[index].id for index in (0, 7, 9)]
    assert [trial.id for trial in replay._failed(plan, Path("run"), "C03")] == [done[0].id]
    with pytest.raises(UsageError, match="no trial of 'run' fails C09"):
        replay._failed(plan, Path("run"), "C09")
