"""The agent's end of its line to the host in virtual time: memory that both see, and a machine that pauses itself.

The memory is an NVDIMM. The machine stands still at an instruction of its own, where the agent would wait,
and not when the host comes to it: the pvpanic device says that the guest has panicked, and QEMU was told to stop then.
The host lays a request into the memory and lets the machine go on behind that instruction.
"""

import ctypes
import mmap
import os
import struct

NAME = "mailbox"  # what the agent is told instead of a port's path
NODE = "/dev/pmem1"
HEAD = struct.Struct("<QQ")  # what lies there, and the length of what follows
REQUEST, ANSWER = 1, 2
PORT = 0x505  # of pvpanic; docs/specs/pvpanic.rst of QEMU
# When QEMU stops an emulated CPU, its clock may or may not jump to the next timer first, as its threads come to run. So
# the code goes on at a time that was fixed before: it reads the clock (rdtsc, nanoseconds), pauses, waits until ALIGN
# later, and makes up for where in its loop that found it by a slide of nops. The kernel's next timer is less than ALIGN
# away.
ALIGN = 8_000_000  # nanoseconds
CODE = bytes.fromhex(
    "0f3148c1e2204809d04c8d8000127a00ba05050000b001ee0f3148c1e220"
    "4809d04c39c072f24c29c04883f8387717c1e803488d15050000004801c2"
    "ffe29090909090909090c3"
)


class Mailbox:
    """Requests and answers, one at a time."""

    def __init__(self) -> None:
        # Read and written directly: what is in the page cache, the host does not see.
        self._fd = os.open(NODE, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)
        self._size = os.lseek(self._fd, 0, os.SEEK_END)
        self._buffer = memoryview(mmap.mmap(-1, self._size))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ioperm(PORT, 1, 1) != 0:  # for this thread alone: no child inherits it
            raise OSError(ctypes.get_errno(), f"ioperm of port {PORT:#x}")
        self._code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._code.write(CODE)
        self._pause = ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(self._code)))

    def read(self) -> bytes:
        """The next request; the machine stands still until it is there."""
        while True:
            what, length = self._load(HEAD.size)
            if what == REQUEST:
                self._load(HEAD.size + length)
                request = bytes(self._buffer[HEAD.size : HEAD.size + length])
                self._store(0, 0)
                return request
            # Nothing else may run on the CPU until the code has made up for what QEMU did to the clock.
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
            self._pause()
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

    def write(self, data: bytes) -> None:
        """Lay an answer there. Raises ValueError when it is larger than the memory."""
        if HEAD.size + len(data) > self._size:
            raise ValueError(f"an answer of {len(data)} bytes does not fit")
        self._buffer[HEAD.size : HEAD.size + len(data)] = data
        self._store(ANSWER, len(data))

    def _load(self, size: int) -> tuple[int, int]:
        """Fill the buffer's first `size` bytes; what its head says."""
        os.preadv(self._fd, [self._buffer[: _pages(size)]], 0)
        what, length = HEAD.unpack(self._buffer[: HEAD.size])
        return what, length

    def _store(self, what: int, length: int) -> None:
        self._buffer[: HEAD.size] = HEAD.pack(what, length)
        os.pwritev(self._fd, [self._buffer[: _pages(HEAD.size + length)]], 0)


def _pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
