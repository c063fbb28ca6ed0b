"""thindriver.base: file systems are told by their superblocks."""

import os
import subprocess
from pathlib import Path

import pytest
from thindriver import base, kernel, loop
from thindriver.errors import DriverError

UUID = "8f6a1c1e-2b3c-4d5e-8f90-a1b2c3d4e5f6"
needs_loop = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="needs root and loop devices"
)


@needs_loop
@pytest.mark.parametrize(
    ("filesystem", "command"),
    [("ext4", ("mkfs.ext4", "-q", "-U", UUID)), ("xfs", ("mkfs.xfs", "-q", "-m", f"uuid={UUID}")), ("", ())],
)
def test_type_and_uuid_are_read_from_the_superblock(tmp_path: Path, filesystem: str, command: tuple[str, ...]) -> None:
    """What mkfs wrote is what is recognised; a blank device is nothing."""
    if command and not kernel.find_program(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, 320 << 20)
    if command:
        subprocess.run([kernel.find_program(command[0]), *command[1:], str(image)], check=True)
    attached = loop.attach(str(image))
    found = base.identify(attached.device)
    attached.close()

    assert found == ((filesystem, UUID) if filesystem else ("", ""))


def test_all_that_a_program_complained_is_passed_on(tmp_path: Path) -> None:
    """Its last line often names no cause: each line is told, on one."""
    lock = os.open(tmp_path, os.O_RDONLY)
    script = "echo 'tune2fs: Input/output error' >&2; echo >&2; echo '  no superblock' >&2; exit 1"
    try:
        with pytest.raises(DriverError, match=r"ended with 1: tune2fs: Input/output error; no superblock$"):
            base.run(["sh", "-c", script], lock)
    finally:
        os.close(lock)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("/dev/dm-1 is apparently in use by the system", "in use by the system (Device or resource busy)"),
        ("Device or resource busy: x is apparently in use by the system", "in use by the system"),
        ("/dev/dm-1 does not exist and no size was specified.", "(No such file or directory)"),
        ("x" * 5000, "x" * base.SAID),
        (" \n", ""),
    ],
)
def test_a_complaint_is_short_and_names_its_cause_as_the_kernel_does(said: str, told: str) -> None:
    """e2fsprogs has words of its own for some causes; a program that writes without end is cut."""
    assert base._reason(said).endswith(told)
    assert len(base._reason(said)) <= base.SAID + 40
