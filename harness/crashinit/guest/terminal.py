"""A shell on a terminal of its own (pty(7)): what is typed goes in and what it shows comes out, by exchanges.

A function of that shell asks the host for something by a word: it writes into a fifo how many words there are, a name
of its own, its directory, and the words, each with a NUL behind it. The answer comes by a file and a fifo of that name.
"""

import base64
import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .process import REAP_LIMIT, environment

CHUNK = 1 << 16  # bytes that one exchange shows at most, and those that are read at once
PAUSE = 0.002  # seconds without output after which what is there is shown
HEAD = 2  # what a request has ahead of its words, behind their number: its name and its directory


class Terminal:
    """One shell, and the terminal's side that a person sits at."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], words: str, size: tuple[int, int], owner: Mapping[str, str]
    ) -> None:
        """`words`: the path of the fifo by which it asks; `size`: rows and columns. Raises OSError."""
        self._ours, theirs = os.openpty()
        self._size = (0, 0)
        self._resize(size)
        os.set_blocking(self._ours, False)
        self._place = Path(words).parent
        self._place.mkdir(parents=True, exist_ok=True)
        Path(words).unlink(missing_ok=True)
        os.mkfifo(words, 0o600)
        self._asking = os.open(words, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._asked = bytearray()
        self._words: deque[dict[str, Any]] = deque()
        self._unsent = bytearray()
        self._is_open = True
        try:
            self._process = subprocess.Popen(
                list(argv), stdin=theirs, stdout=theirs, stderr=theirs, cwd="/", env=environment({**owner, **env}),
                start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )  # fmt: skip
        finally:
            os.close(theirs)

    def exchange(self, typed: bytes, size: tuple[int, int], wait: float) -> dict[str, Any]:
        """Type that, and wait so many seconds at most for something to show, a word, or the shell's end."""
        self._resize(size)
        self._unsent += typed
        shown = self._shown(wait)
        over = self._process.poll()
        while over is not None and (rest := self._read()):
            shown += rest
        return {
            "shown": base64.b64encode(shown).decode(),
            "word": self._words.popleft() if self._words else None,
            "exit": over,
        }

    def answer(self, name: str, status: int, again: str, said: bytes) -> None:
        """The answer to a word; `again`: a line for the shell's history. Whoever waits no more gets none."""
        fifo = self._place / name
        with suppress(OSError):
            fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fifo.with_suffix(".said").write_bytes(said)
                os.write(fd, f"{status} {again}\n".encode())
            finally:
                os.close(fd)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_LIMIT)
        for fd in (self._ours, self._asking):
            os.close(fd)

    def _resize(self, size: tuple[int, int]) -> None:
        if size != self._size:
            self._size = size
            fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("=HHHH", *size, 0, 0))

    def _shown(self, wait: float) -> bytearray:
        shown = bytearray()
        deadline = time.monotonic() + wait
        while len(shown) < CHUNK and not self._words and self._process.poll() is None:
            left = PAUSE if shown else deadline - time.monotonic()
            poll = select.poll()
            poll.register(self._asking, select.POLLIN)
            if self._is_open:
                poll.register(self._ours, select.POLLIN | (select.POLLOUT if self._unsent else 0))
            if not (ready := dict(poll.poll(max(left, 0.0) * 1000))):
                break
            if ready.get(self._ours, 0) & select.POLLOUT:
                self._type()
            if ready.get(self._ours, 0) & ~select.POLLOUT:
                shown += self._read()
            if self._asking in ready:
                self._hear()
        return shown + (self._read() if self._words else b"")

    def _read(self) -> bytes:
        with suppress(BlockingIOError):
            try:
                return os.read(self._ours, CHUNK)
            except OSError as error:
                if isinstance(error, BlockingIOError):
                    raise
                self._is_open = False  # EIO: nobody has the other side open any more
        return b""

    def _type(self) -> None:
        with suppress(OSError):
            del self._unsent[: os.write(self._ours, self._unsent[:CHUNK])]

    def _hear(self) -> None:
        """Take what was written into the fifo; what is no request is dropped."""
        self._asked += os.read(self._asking, CHUNK)
        while self._asked:
            count, *fields = bytes(self._asked).split(b"\0")
            if not count.isdigit() or len(count) > 4:
                self._asked.clear()
                return
            wanted = HEAD + int(count)
            if len(fields) <= wanted:
                return
            name, directory, *words = (field.decode("utf-8", "replace") for field in fields[:wanted])
            self._words.append({"name": name, "directory": directory, "words": words})
            self._asked[:] = b"\0".join(fields[wanted:])
