"""thindriver.base: file systems are told by their superblocks."""

import os
import subprocess
from pathlib import Path

import pytest
from thindriver import base, kernel, loop

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
