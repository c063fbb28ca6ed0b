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


# Leaves so many KiB of the file system. The blocks that ext4 holds back would make that figure a guess.
FILL = """
echo 0 >"/sys/fs/ext4/$(basename "$(findmnt -n -o SOURCE /)")/reserved_clusters"
dd if=/dev/zero of=/var/lib/spacer bs=1K count={left} 2>/dev/null; sync
fallocate -l $(($(stat -f -c %f /) * $(stat -f -c %S /))) /var/lib/filler 2>/dev/null || true
dd if=/dev/zero of=/var/lib/rest bs=4K 2>/dev/null || true; sync
rm /var/lib/spacer; sync
"""
MAKE_ROOM = "rm /var/lib/filler /var/lib/rest; sync"


@pytest.mark.parametrize("left", [0, 64, 1024])
def test_full_file_system(
    left: int,
    driver: Driven,
    shell: Callable[[str], str],
    refuses: Callable[..., str],
    recovers: Callable[..., Run],
) -> None:
    """With so many KiB left under the sparse files init fails and says why; once there is room the root is whole.

    Where the kernel could not write the pool's metadata it marks them, and wants them checked by hand first.
    """
    shell(FILL.format(left=left))
    run = driver.init()
    shell(MAKE_ROOM)
    if left:
        refuses(driver, "thin_check --clear-needs-check-flag")
        shell(f"thin_check --clear-needs-check-flag {driver.adapter.root}/devicemapper/metadata")
    driver.machine.call("mark")  # the kernel's complaints so far are the condition's

    assert run.exit == 1
    assert not run.timed_out
    assert len(run.stderr.strip().splitlines()) == 1, run.stderr
    recovers(driver)
