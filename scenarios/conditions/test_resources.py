"""What init needs is not to be had: it says so and leaves nothing behind, and once it is there init recovers."""

import errno
from collections.abc import Callable

import pytest
from crashinit.adapters.driven import GRACE, Driven
from crashinit.model.observation import Run


@pytest.mark.parametrize("name", ["data", "metadata"])
def test_no_free_loop_device(name: str, driver: Driven, recovers: Callable[..., Run]) -> None:
    """Where the kernel has no loop device left, the file is named and nothing stays attached (moby 23043)."""
    occurrence = 1 if name == "data" else 2
    state = driver.begin_init(f"loop.get-free loop*#{occurrence}")
    state = driver.machine.call(
        "gate_fail", timeout=driver.setup.deadline + GRACE, gate=state["gate"], errno=errno.ENOSPC, forever=True
    )
    run = driver.finish(state["gate"])
    seen = driver.observe()

    assert run.exit == 1
    assert f"devicemapper/{name}'" in run.stderr
    assert "No space left on device" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert (seen.loops, seen.dm) == ([], [])
    recovers(driver)
