"""The host's end of the agent's line, with a guest that answers what it should not."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from threading import Thread

import pytest
from crashinit.errors import CrashinitError, GuestError, MachineError
from crashinit.guest import agent
from crashinit.machine import channel as module
from crashinit.machine.channel import Channel

TIMEOUT = 30.0  # seconds


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the guest's end of its line."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours, lambda: "its console ends with: \x1b]0;owned\a")
    yield channel, theirs
    channel.close()
    theirs.close()


def answering(theirs: socket.socket, answer: bytes) -> Thread:
    """A guest that waits for a request and answers it with these bytes."""

    def serve() -> None:
        received = b""
        while received.count(b"\n") < 2:
            received += theirs.recv(1 << 16)
        try:
            theirs.sendall(answer)
        except OSError:
            return  # the host has heard enough

    thread = Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ({"id": 1}, MachineError, "the machine's answer to 'x' holds neither a result nor an error"),
        ({"id": 1, "error": {}}, GuestError, "'x' failed in the machine: None: None"),
        ({"id": 1, "error": {"type": "E", "message": "\x1b[2J"}}, GuestError, r"failed in the machine: E: \x1b[2J"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(
    ends: tuple[Channel, socket.socket], answer: object, kind: type[CrashinitError], said: str
) -> None:
    """Whatever a guest answers, the host says so, and no string of the guest reaches a terminal raw."""
    channel, theirs = ends
    guest = answering(theirs, json.dumps(answer).encode() + b"\n")

    with pytest.raises(kind) as error:
        channel.call("x", {}, TIMEOUT)
    assert said in str(error.value)
    guest.join()


def test_an_answer_that_is_nested_too_deeply(ends: tuple[Channel, socket.socket]) -> None:
    """JSON of a hundred thousand brackets is the machine's error and not a traceback."""
    channel, theirs = ends
    answering(theirs, b'{"id": 1, "result": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n")

    with pytest.raises(MachineError, match="the machine's answer to 'x' is nested too deeply"):
        channel.call("x", {}, TIMEOUT)


def test_an_answer_that_never_ends(ends: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that sends without a line feed does not fill the host's memory."""
    monkeypatch.setattr(module, "LINE_LIMIT", 1 << 20)
    channel, theirs = ends
    answering(theirs, b"x" * (16 << 20))

    with pytest.raises(MachineError, match="the machine's answer to 'x' has more than 1 MiB"):
        channel.call("x", {}, TIMEOUT)


def test_what_the_console_said_is_printable(ends: tuple[Channel, socket.socket]) -> None:
    """The error of a machine that is gone quotes its console, without the escape sequences in it."""
    channel, theirs = ends
    theirs.close()

    with pytest.raises(MachineError, match=r"the machine is gone: its console ends with: \\x1b\]0;owned\\x07"):
        channel.call("x", {}, TIMEOUT)


class Line:
    """The guest's end of the line, as the agent takes it."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def read(self) -> bytes:
        with suppress(OSError):  # the test is over
            if data := self._end.recv(1 << 16):
                return data
        raise EOFError

    def write(self, data: bytes) -> None:
        self._end.sendall(data)


@pytest.fixture
def served(ends: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch) -> Channel:
    """A channel whose other end the agent serves, in this process."""
    channel, theirs = ends
    monkeypatch.setattr(agent.Agent, "__init__", lambda self: None)  # which would look at this host's kernel
    Thread(target=agent.serve, args=(Line(theirs),), daemon=True).start()
    return channel


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b'\n{"id": 1, "call": "x"}\n', Random(0).randbytes(3 << 20)],
    ids=["empty", "a line feed", "a request", "3 MiB at random"],
)
def test_bytes_arrive_raw_whatever_is_in_them(served: Channel, tmp_path: Path, data: bytes) -> None:
    """No byte of a file is taken for a request, and the next call is answered."""
    target = tmp_path / "file"
    for _ in range(2):
        served.call("put", {"path": str(target), "data": data}, TIMEOUT)
        assert target.read_bytes() == data
    assert served.call("run", {"argv": ["cat"], "input": b"in\n"}, TIMEOUT)["stdout"] == "in\n"


def test_a_call_that_fails_leaves_no_bytes_on_the_line(served: Channel, tmp_path: Path) -> None:
    """The bytes of a call that does not exist, or whose file cannot be written, are not the next request."""
    touched = tmp_path / "touched"
    request = {"id": 9, "call": "run", "arguments": {"argv": ["touch", str(touched)]}}
    data = b"\n" + json.dumps(request).encode() + b"\n"
    for name, path in (("nosuch", tmp_path), ("put", Path("/proc/nosuch/file"))):
        with pytest.raises(GuestError):
            served.call(name, {"path": str(path), "data": data}, TIMEOUT)
    assert served.call("run", {"argv": ["true"]}, TIMEOUT)["exit"] == 0
    assert not touched.exists()


def test_after_half_a_call_nothing_more_is_sent(ends: tuple[Channel, socket.socket]) -> None:
    """The agent would take the next call for the rest of the bytes; a machine that boots anew has forgotten them."""
    channel, _ = ends
    with pytest.raises(MachineError, match="did not answer 'put' within"):
        channel.call("put", {"path": "/x", "data": bytes(16 << 20)}, 0.2)
    with pytest.raises(MachineError, match="did not take all of a call before"):
        channel.call("x", {}, 0.2)
    channel.restarted()
    with pytest.raises(MachineError, match="did not answer 'x' within"):
        channel.call("x", {}, 0.2)
