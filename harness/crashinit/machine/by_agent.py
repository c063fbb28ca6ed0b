"""What a machine of every kind does by its agent's calls alone."""

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from crashinit.errors import CrashinitError, GuestError, MachineError, UsageError
from crashinit.machine.protocol import Completed, Time

GRACE = 30.0  # seconds beyond a command's own timeout in which the agent must answer
PIECE = 1 << 20  # bytes of a file that go over the line at once
FILE_TIMEOUT = 90.0  # seconds in which a piece must be there or here
PUT_LIMIT = 1 << 30  # bytes of one file
GET_LIMIT = 64 << 20  # likewise: what comes from a machine is held in memory
# What a shutdown does for the disk: write all, then make the root file system read-only (sysrq.rst). The remount is
# the kernel's own, so files held open do not keep it back.
REMOUNT = "sync; echo u > /proc/sysrq-trigger; until grep -q ' / ext4 ro' /proc/mounts; do :; done"


class ByAgent(ABC):
    """A machine whose agent answers; see machine/protocol.py for what each method promises."""

    time: Time = "real"
    kernel: str = ""

    def __init__(self) -> None:
        self._closed = False

    @property
    def elapsed(self) -> float | None:
        return None

    @abstractmethod
    def _ask(self, name: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        """One call of the agent; see Channel.call."""

    @abstractmethod
    def power_cut(self) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    def call(self, name: str, /, *, timeout: float = 60.0, **arguments: Any) -> Any:
        return self._ask(name, arguments, timeout)

    def run(
        self,
        *argv: str,
        input: bytes = b"",
        timeout: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        arguments = {"argv": list(argv), "input": input, "timeout": timeout, "env": dict(env or {})}
        return Completed(argv=argv, **self._ask("run", arguments, timeout + GRACE))

    def put(self, data: bytes | Path, target: str, mode: int = 0o644) -> None:
        with data.open("rb") if isinstance(data, Path) else io.BytesIO(data) as file:
            try:
                self._put(file, target, mode)
            except CrashinitError as error:
                what = f"'{data}'" if isinstance(data, Path) else f"a file of {len(data)} bytes"
                raise type(error)(f"{what} cannot be put into the machine as '{target}': {error}") from error

    def _put(self, file: BinaryIO, target: str, mode: int) -> None:
        offset, piece, is_last = 0, file.read(PIECE), False
        while not is_last:
            following = file.read(PIECE)
            is_last = not following
            arguments = {"path": target, "data": piece, "mode": mode, "offset": offset, "last": is_last}
            self._ask("put", arguments, FILE_TIMEOUT)
            offset, piece = offset + len(piece), following
            if offset > PUT_LIMIT:
                raise UsageError(f"it has more than {PUT_LIMIT >> 30} GiB, and that is the limit.")

    def get(self, path: str) -> bytes:
        content = bytearray()
        while len(content) <= GET_LIMIT:
            arguments = {"path": path, "offset": len(content), "size": PIECE}
            piece = base64.b64decode(self._ask("get", arguments, FILE_TIMEOUT)["data"])
            content += piece
            if len(piece) < PIECE:
                return bytes(content)
        raise GuestError(f"the machine's file '{path}' has more than {GET_LIMIT >> 20} MiB, and that is the limit")

    def reboot(self) -> None:
        self.run("sh", "-c", REMOUNT).check()
        self.power_cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _require_open(self) -> None:
        if self._closed:
            raise MachineError("this machine is closed")
