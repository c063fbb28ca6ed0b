"""What a process has written to memory that it shares."""

import mmap
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from crashinit.errors import MachineError
from crashinit.machine import owned
from crashinit.machine.files import File
from crashinit.machine.qemu import memory
from crashinit.machine.qemu.memory import Memory

PAGE = mmap.PAGESIZE
SIZE = 64 * PAGE
# Maps a file privately, reads one page, writes others, and tells at the end what it sees.
MAPS = """
import mmap, sys
seen = mmap.mmap(int(sys.argv[1]), 0, mmap.MAP_PRIVATE)
seen[7 * mmap.PAGESIZE]
for page in sys.argv[2:]:
    seen[int(page) * mmap.PAGESIZE] = int(page)
print("mapped", flush=True)
sys.stdin.readline()
sys.stdout.buffer.write(seen[:])
"""


@contextmanager
def mapping(file: File, *pages: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has mapped the file and written these pages; it ends after a line."""
    argv = [sys.executable, "-c", MAPS, str(file.fd), *map(str, pages)]
    with owned.spawn(argv, fds=[file.fd], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"mapped\n"
            yield process
        finally:
            process.kill()


def content(*pages: int) -> bytes:
    """What such a process sees."""
    seen = bytearray(bytes(PAGE) * 32 + b"shared".ljust(PAGE, b"\0") * 32)
    for page in pages:
        seen[page * PAGE] = page
    return bytes(seen)


@pytest.fixture
def shared() -> Memory:
    """A sealed file: half of it holes."""
    file = File.in_memory("test", SIZE)
    os.pwrite(file.fd, content()[SIZE // 2 :], SIZE // 2)
    return Memory(file).sealed()


def test_written_pages(shared: Memory) -> None:
    """Only what was written is held, in as many runs as it lies in; what was only read is not, hole or data."""
    with mapping(shared.file, 3, 4, 40) as process:
        found = shared.written_by(process.pid)

    assert found.runs == ((3 * PAGE, 2 * PAGE), (40 * PAGE, PAGE))
    assert found.used() == 3 * PAGE
    assert found.whole("test").text() == content(3, 4, 40).decode()
    assert shared.file.text() == content().decode()


def test_pages_are_given_to_another(shared: Memory) -> None:
    """A process that has mapped the same file gets them, and what it then has written counts those as well."""
    with mapping(shared.file, 3, 63) as process:
        found = shared.written_by(process.pid)
    with mapping(shared.file) as process:
        found.loaded_into(process.pid)
        again = found.written_by(process.pid)
        told, _ = process.communicate(b"\n")

    assert told == content(3, 63)
    assert again.runs == found.runs
    assert again.whole("test").text() == content(3, 63).decode()


def test_nothing_written(shared: Memory) -> None:
    """Of a process that has written nothing, nothing is held, and another is given nothing."""
    with mapping(shared.file) as process:
        found = shared.written_by(process.pid)
        found.loaded_into(process.pid)

    assert (found.runs, found.used()) == ((), 0)


def test_process_that_is_gone(shared: Memory) -> None:
    """A process that has ended, or has mapped another file, gives one sentence."""
    with mapping(shared.file, 3) as process:
        found = shared.written_by(process.pid)
        for call in (
            Memory(File.in_memory("other", SIZE)).written_by,
            Memory(found.whole("x"), found.runs).loaded_into,
        ):
            with pytest.raises(MachineError, match=f"process {process.pid} has not mapped its memory"):
                call(process.pid)
        process.kill()
        process.wait()
    with pytest.raises(MachineError, match=rf"process {process.pid} cannot be reached \(No such"):
        shared.written_by(process.pid)


def test_readable() -> None:
    """Memory of a child of the same user can be read and written; root without CAP_SYS_PTRACE has none of another's."""
    assert memory.readable(None)
    if os.geteuid() != 0:
        pytest.skip("needs root, to be without the right")
    ask = (
        "from crashinit.machine import owned; from crashinit.machine.qemu.memory import readable;"
        "print(readable(owned.unprivileged()))"
    )
    for prefix, answer in (
        ([], "True\n"),
        (["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"], "False\n"),
    ):
        said = subprocess.run([*prefix, sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
        assert said == answer
