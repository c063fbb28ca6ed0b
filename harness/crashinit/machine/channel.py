"""The host's end of the guest agent's line; guest/agent.py describes the protocol."""

import base64
import hashlib
import json
import os
import select
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from crashinit.errors import GuestError, MachineError
from crashinit.machine.seed import delays, moment

EPOCH = 1767225600  # 2026-01-01 UTC: machines with a seed live in the half year after it
LOOK = 1.0  # seconds after which a machine that is silent is looked at
LINE_LIMIT = 64 << 20  # bytes of one answer; an observation has some hundred thousand


class Channel:
    """Calls over a connected socket, one at a time.

    `why` says what became of the machine: it is asked when the line is dead or silent, for the error's text. `lost`:
    whether the machine will not answer any more.
    """

    def __init__(self, line: socket.socket, why: Callable[[], str], lost: Callable[[], bool] = lambda: False) -> None:
        self._line = line
        self._why = why
        self._lost = lost
        self._last = 0
        self.elapsed = 0.0  # seconds by the machine's own clock, from one answer to the next
        self._clock: float | None = None  # its clock at the last answer
        self.kernel = ""  # the release of the machine's kernel, as the agent told it
        self._got = bytearray()
        self._torn = False  # the agent waits for the rest of raw bytes, and would take the next call for it
        line.setblocking(False)

    def call(self, name: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        """The answer to one call; arguments that are bytes are sent raw.

        Raises MachineError when the line is dead or silent for `timeout` seconds, GuestError when the call failed.
        An answer that comes too late is dropped when the next one is read: it bears another id.
        """
        deadline = time.monotonic() + timeout
        self._last += 1
        raw = {key: value for key, value in arguments.items() if isinstance(value, bytes)}
        plain = {key: value for key, value in arguments.items() if key not in raw}
        sizes = {key: len(value) for key, value in raw.items()}
        request = json.dumps({"id": self._last, "call": name, "arguments": plain, "raw": sizes}).encode()
        if self._torn:
            raise MachineError("the machine did not take all of a call before: it can be told nothing more")
        self._torn = bool(raw)
        # The empty line first ends whatever a cut machine's agent had left half-read.
        self._send(b"".join((b"\n", request, b"\n", *raw.values())), name, deadline, timeout)
        self._torn = False
        while True:
            line = self._line_of_answer(name, deadline, timeout)
            try:
                answer = json.loads(line)
            except ValueError:
                continue  # torn by a power cut
            except RecursionError as problem:
                raise MachineError(f"the machine's answer to '{name}' is nested too deeply") from problem
            if isinstance(answer, dict) and answer.get("id") == self._last:
                break
        self._tell(answer.get("clock"))
        if isinstance(error := answer.get("error"), dict):
            said = f"{error.get('type')}: {error.get('message')}"
            failed = GuestError(f"the agent's call '{name}' failed in the machine: {said}")
            failed.details = str(error.get("traceback", ""))
            raise failed
        if "result" not in answer:
            raise MachineError(f"the machine's answer to '{name}' holds neither a result nor an error")
        return answer["result"]

    def hello(self, timeout: float, seed: str | None = None) -> None:
        """Wait for the agent; give it the time and randomness, which a frozen machine cannot have of its own.

        With a `seed` both follow from it alone; see machine/seed.py.
        """
        if seed is None:
            given = {"clock": time.time(), "entropy": _text(os.urandom(64))}
        else:
            entropy = hashlib.sha512(seed.encode()).digest()
            given = {"entropy": _text(entropy), "delays": delays(seed)}
            if not self.elapsed or self._clock is not None:  # a clone of a machine that had a time goes on with that
                given["clock"] = EPOCH + moment(seed, entropy) + self.elapsed
        told = self.call("hello", given, timeout)
        self.kernel = str(told.get("kernel", "")) if isinstance(told, dict) else ""

    def restarted(self) -> None:
        """The machine was told to boot anew."""
        self._torn = False
        self._clock = 0.0

    def _tell(self, clock: object) -> None:
        """Count the time since the last answer."""
        if isinstance(clock, int | float):
            if self._clock is not None:
                self.elapsed += max(0.0, clock - self._clock)
            self._clock = clock

    def close(self) -> None:
        self._line.close()

    def _send(self, request: bytes, name: str, deadline: float, timeout: float) -> None:
        rest = memoryview(request)
        while rest:
            self._wait(select.POLLOUT, name, deadline, timeout)
            try:
                rest = rest[self._line.send(rest) :]
            except BlockingIOError:
                continue
            except OSError as problem:
                raise MachineError(f"the machine is gone: {self._why()}") from problem

    def _line_of_answer(self, name: str, deadline: float, timeout: float) -> bytes:
        seen = 0  # bytes in which there is no line feed
        while (end := self._got.find(b"\n", seen)) < 0:
            seen = len(self._got)
            if seen > LINE_LIMIT:
                raise MachineError(f"the machine's answer to '{name}' has more than {LINE_LIMIT >> 20} MiB")
            self._wait(select.POLLIN, name, deadline, timeout)
            try:
                data = self._line.recv(1 << 20)
            except BlockingIOError:
                continue
            except OSError as problem:
                raise MachineError(f"the machine is gone: {self._why()}") from problem
            if not data:
                raise MachineError(f"the machine is gone: {self._why()}")
            self._got += data
        line = bytes(self._got[:end])
        del self._got[: end + 1]
        return line

    def _wait(self, event: int, name: str, deadline: float, timeout: float) -> None:
        """Return when the line is ready for `event` (poll(2); select(2) would end at descriptor 1024)."""
        poll = select.poll()
        poll.register(self._line, event)
        while (left := deadline - time.monotonic()) > 0:
            if poll.poll(min(left, LOOK) * 1000):
                return
            if self._lost():
                raise MachineError(f"the machine did not answer '{name}': {self._why()}")
        raise MachineError(f"the machine did not answer '{name}' within {timeout:g} s: {self._why()}")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
