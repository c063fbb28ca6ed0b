"""The agent's end of its line to the host: a virtio-serial port, or standard input and output."""

import os
import select

CHUNK = 1 << 16
CHECK = 1.0  # seconds after which a silent port is looked at even without an event


class Pipe:
    """Standard input and output: the line of an agent started over ssh. It ends when its peer goes."""

    def __init__(self) -> None:
        # What a library prints must not get between the answers.
        self._out = os.dup(1)
        os.set_inheritable(self._out, False)
        os.dup2(2, 1)

    def read(self) -> bytes:
        """What came, at least one byte. Raises EOFError when the peer is gone."""
        data = os.read(0, CHUNK)
        if not data:
            raise EOFError("the peer is gone")
        return data

    def write(self, data: bytes) -> None:
        """Send it all."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._out, rest) :]


class Port:
    """A virtio-serial port. Peers come and go: a clone of a frozen machine speaks to another one.

    While nobody is connected the kernel reports a hang-up at once and for ever (drivers/char/virtio_console.c), so a
    level-triggered wait would spin; an edge-triggered one wakes when the host's side opens or sends.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._edges = select.epoll()
        self._edges.register(self._fd, select.EPOLLIN | select.EPOLLHUP | select.EPOLLET)

    def read(self) -> bytes:
        """What came, at least one byte, from whatever peer."""
        while True:
            try:
                data = os.read(self._fd, CHUNK)
            except BlockingIOError:
                data = b""
            if data:
                return data
            self._edges.poll(CHECK)

    def write(self, data: bytes) -> None:
        """Send it all, or drop the rest when the peer goes away: the next one has not asked for it."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest[:CHUNK]) :]
            except BlockingIOError:
                if dict(poll.poll()).get(self._fd, 0) & select.POLLHUP:
                    return
