"""The archive that the initramfs carries."""

import subprocess

from crashinit.machine.payload import S_IFDIR, S_IFREG, appended, archive, payload


def test_archive() -> None:
    """busybox's cpio, an implementation that is not ours, finds every entry with its mode and size."""
    data = archive([("dir", S_IFDIR | 0o755, b""), ("dir/file", S_IFREG | 0o640, b"12345")])
    listed = subprocess.run(["busybox", "cpio", "-tv"], input=data, capture_output=True, check=True).stdout.decode()

    modes = {line.split()[-1]: (line.split()[0], line.split()[2]) for line in listed.splitlines()}
    assert modes == {"dir": ("drwxr-xr-x", "0"), "dir/file": ("-rw-r-----", "5")}


def test_payload_is_reproducible() -> None:
    """Equal sources give equal bytes, or every run would boot a template of its own."""
    assert payload() == payload()
    assert b"payload/crashinit/guest/agent.py\0" in payload()


def test_payload_begins_where_the_kernel_looks() -> None:
    """The kernel looks for a further archive at multiples of four bytes."""
    for length in range(4):
        assert appended(b"x" * length).find(b"070701") % 4 == 0
