"""The line to the agent of a machine in virtual time: memory that both sides see, and that only one uses at a time.

Nothing may come to such a machine at a moment of the host's choosing, so it runs only while a call is answered. It
stands still while the host lays a call into the mailbox, and again when the answer lies there; guest/mailbox.py is its
side.
"""

import mmap
import socket
import struct
import time
from collections.abc import Callable

from crashinit.errors import MachineError
from crashinit.machine.channel import Channel
from crashinit.machine.files import File

SIZE = 64 << 20  # bytes; as much of them as calls and answers use is there
HEAD = struct.Struct("<QQ")  # what lies there, and the length of what follows
REQUEST, ANSWER = 1, 2
# A machine's second may take many of a busy host's; this ends the wait for a guest that does not end at all.
SLACK = 10


class Mailbox(Channel):
    """Calls to a machine that stands still between them."""

    def __init__(
        self,
        memory: File,
        line: socket.socket,
        why: Callable[[], str],
        go: Callable[[], None],
        await_pause: Callable[[float], bool],
        *,
        running: bool,
    ) -> None:
        """`go` lets the machine run; `await_pause` waits until it stands still, for so long; whether it does."""
        super().__init__(line, why)
        self._memory = mmap.mmap(memory.fd, SIZE)
        self._go = go
        self._await_pause = await_pause
        self._running = running

    def restarted(self) -> None:
        super().restarted()
        self._running = True

    def _send(self, request: bytes, name: str, deadline: float, timeout: float) -> None:
        deadline += (SLACK - 1) * timeout
        self._pause(name, deadline, SLACK * timeout)  # after a boot, and after a call that was given up
        if len(request) > SIZE - HEAD.size:
            raise MachineError(f"the call '{name}' has {len(request):,} bytes: at most {SIZE >> 20} MiB can be sent")
        self._memory[HEAD.size : HEAD.size + len(request)] = request
        self._memory[: HEAD.size] = HEAD.pack(REQUEST, len(request))
        self._go()
        self._running = True

    def _line_of_answer(self, name: str, deadline: float, timeout: float) -> bytes:
        deadline += (SLACK - 1) * timeout
        self._pause(name, deadline, SLACK * timeout)
        what, length = HEAD.unpack(self._memory[: HEAD.size])
        if what != ANSWER or length > SIZE - HEAD.size:
            raise MachineError(f"the machine stopped and did not answer '{name}': {self._why()}")
        return self._memory[HEAD.size : HEAD.size + length]

    def _pause(self, name: str, deadline: float, timeout: float) -> None:
        """Return when the machine stands still."""
        if self._running:
            if not self._await_pause(max(deadline - time.monotonic(), 0.01)):
                raise MachineError(f"the machine did not answer '{name}' within {timeout:g} s: {self._why()}")
            self._running = False
