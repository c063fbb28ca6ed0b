"""Files without a name."""

import os
from pathlib import Path

import pytest
from crashinit.machine.files import File


@pytest.fixture(params=["memory", "tmpfs", "disk"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> File:
    """A file that holds a word, of each kind that there is."""
    if request.param == "memory":
        made = File.in_memory("test")
    else:
        where = Path("/dev/shm") if request.param == "tmpfs" else tmp_path
        made = File(os.open(where, os.O_TMPFILE | os.O_RDWR, 0o600))
    os.write(made.fd, b"content")
    return made


def test_sealed(file: File) -> None:
    """A sealed file has the content, cannot be changed, and is not copied a second time."""
    sealed = file.sealed()

    assert sealed.text() == "content"
    for change in (lambda: os.pwrite(sealed.fd, b"x", 0), lambda: os.ftruncate(sealed.fd, 0)):
        with pytest.raises(PermissionError):
            change()
    assert sealed.sealed() is sealed


def test_another_user_opens_a_sealed_file(file: File) -> None:
    """Who is handed a sealed file can open it anew, for a private mapping, though the file was its owner's alone."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    sealed = file.sealed()
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os._exit(0 if os.read(os.open(f"/proc/self/fd/{sealed.fd}", os.O_RDWR), 7) == b"content" else 1)
        finally:
            os._exit(2)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
