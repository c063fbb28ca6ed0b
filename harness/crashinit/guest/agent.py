"""The agent: the one process of ours in a machine, preloaded in every template.

It speaks newline-delimited JSON over a byte stream (a virtio-serial port, or its own standard input and
output when it is started over ssh). A request is `{"id": 7, "call": "run", "arguments": {...}}`; its answer is
`{"id": 7, "result": ...}` or `{"id": 7, "error": {"type": "...", "message": "...", "traceback": "..."}}`, and has the
machine's monotonic clock as well: `"clock": 12.5`.
Requests are answered one at a time and in order. An empty line is ignored, so a new peer may begin with one to flush
a torn line. Arguments that are bytes follow the request's line feed as they are, in the order and with the sizes that
`"raw": {"data": 1048576}` beside the arguments tells.

Calls (all times in seconds; `input`, `typed`, `said` and `put`'s `data` are raw, other binary data is in base64):

    hello(clock, entropy, delays)  set the wall clock, stir `entropy` (base64) into the kernel's random pool, draw from
                                   `delays` (a text; "": none) how long each operation of a gated run waits;
                                   -> {"version": 1}
    run(argv, input, timeout, env) -> {"exit", "stdout", "stderr", "seconds", "timed_out"}; negative exit: signal;
                                   the output is text, of each stream the last MiB
    put(path, data, mode, offset, last)
                                   write a file, making its directories, in one step (temporary name, then rename).
                                   A large one comes in pieces: `offset` is where this one begins, and after the `last`
                                   the file is there
    get(path, offset, size)        -> {"data"}: `size` bytes from there on, or less at the file's end
    disk(serial, timeout)          wait until the disk with that serial number has its node; -> {"node": "/dev/vdb"}
    mark()                         remember the kernel log's position, and (the first time) which processes there are:
                                   `probe` reports only what came later
    gate_start(argv, env, root, deadline, stop, ready, reads, patience, settles, limits)
                                   run a command under the gate; -> state. `ready` is for daemons, whose init is over
                                   when it is met: {"log": regular expression}, {"file": path} or {"socket": path}.
                                   With `reads` what only asks is an operation as well, for errors to strike; with
                                   `patience` its answer comes after so many seconds, "running" if it goes on; with
                                   `settles` udevd is at rest before each operation. `limits` by their names: "nofile",
                                   "fsize" (setrlimit(2)), "nproc" (of its control group), "own-ipc" (a namespace)
    gate_wait(gate)                wait until it is held or has ended; -> state
    gate_resume(gate, stop)        let the stopped operation run, go on to the next stop; -> state
    gate_fail(gate, errno, forever, stop)
                                   the stopped operation returns -errno instead of running; with `forever` so does
                                   every later operation of the same kind and object; go on to the next stop; -> state
    gate_kill(gate, victim)        SIGKILL "process" (the command alone) or "tree" (its whole cgroup, at once) and
                                   wait until the victims are gone; stopped survivors go on;
                                   -> {"survivors": [pid, ...]}
    gate_signal(gate, signal, victim, kill_after)
                                   a signal by its name to "process", "tree", or "child" (the process whose operation is
                                   stopped); who catches it goes on with that operation. Who of them is there
                                   `kill_after` seconds later is killed, unless that is null; -> state
    gate_pause(gate, victim, seconds)
                                   SIGSTOP to "process" or "tree", SIGCONT so many seconds later; -> state
    gate_hang(gate)                the stopped operation never returns; -> state, when the init has ended or is ready
    gate_finish(gate)              -> the run, as model.observation.Run, without waiting for survivors, which are
                                   served until they end; `exit` is null for a daemon that is ready, and with
                                   `hung` for a command that lives on in the kernel although it was killed
    gate_stop(gate, deadline)      SIGTERM to a finished gate's daemon, and wait; at the deadline its cgroup is killed;
                                   -> a Run without operations, or null if there is no such daemon (any more)
    actor_begin(kind, command)     somebody else comes, and takes something (guest/actors.py); -> {"got": [name, ...]}
    actor_release(delay)           it lets go in so many seconds
    actor_end()                    -> {"lost": [sentence, ...]}: what was not as it had left it
    facts(root)                    what the next init will find (guest/facts.py); -> {"digests": {name: digest},
                                   "busy": whether udevd was waited for, "rested": whether it is idle now}
    part(name)                     load a family's part of the probe, a package that the host has put beside this one
    probe(spec)                    -> model.observation.Observation
    exercise(spec)                 -> model.observation.Exercise
    terminal_begin(argv, env, words, size)
                                   start a shell on a terminal of its own, in the place of an earlier one; `size`: rows
                                   and columns; `words`: a fifo by which it asks (guest/terminal.py)
    terminal(typed, size, wait)    type that, and wait so many seconds for something to show;
                                   -> {"shown": base64, "word": {"name", "directory", "words"}|null, "exit": int|null}
    terminal_answer(name, status, again, said)
                                   answer a word

`stop` is "never", "every", or the ordinal or the key of the operation before which to stop. A `state` is
`{"gate": id, "state": "stopped"|"running"|"ended", "operation": {OperationRecord}|null, "processes": how many
of the run live, "exit": int|null, "timed_out": bool}`.
At the deadline (counted while the command runs, not while it is held at a stop) the whole cgroup is killed; a command
that is there 10 s later hangs in the kernel, and its run is over. It is a deadline for the init: a daemon that is
ready has none, and what it does then is no operation of the run.
The last operation of a state or a run is the one reached, whether it ran or not: `detail["killed"]` names the victim
if its process was killed before it ran, `detail["errno"]` the error that it returned instead of running,
`detail["signal"]` a signal that its run got before it ran, `detail["hangs"]` that it never returns.
"""

import base64
import fcntl
import json
import os
import random
import struct
import sys
import time
import traceback
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from . import disks, exercise, facts, parts, probe, process
from .beside import Beside
from .census import TAG, Census
from .gate import Gate
from .kernel_log import KernelLog
from .mailbox import NAME, Mailbox
from .served import GateError
from .terminal import Terminal
from .transport import Pipe, Port

VERSION = 1
DELAY = 0.05  # seconds: udev has dealt with an event in less
DELAY_DECADES = 3  # the shortest is that many powers of ten shorter
# <linux/random.h>
RNDADDENTROPY = 0x40085203
RNDRESEEDCRNG = 0x5207


class Agent:
    """The calls. Each public method is one of them."""

    def __init__(self) -> None:
        self._log = KernelLog()
        self._log.report_hung_tasks()
        self._census = Census()
        self._gates: dict[str, Gate] = {}
        self._started = 0
        self._beside: Beside | None = None
        self._delays: random.Random | None = None
        self._terminal: Terminal | None = None

    def hello(self, clock: float | None = None, entropy: str = "", delays: str = "") -> dict[str, Any]:
        """A new peer, perhaps of a clone: take its clock, and random state that no other clone has."""
        self._delays = random.Random(delays) if delays else None
        if clock is not None:
            time.clock_settime(time.CLOCK_REALTIME, clock)
        if entropy:
            seed = base64.b64decode(entropy)
            seed += b"\0" * (-len(seed) % 4)
            fd = os.open("/dev/urandom", os.O_WRONLY | os.O_CLOEXEC)
            try:
                # struct rand_pool_info: entropy_count in bits, buf_size in bytes, buf
                fcntl.ioctl(fd, RNDADDENTROPY, struct.pack("=ii", 8 * len(seed), len(seed)) + seed)
                fcntl.ioctl(fd, RNDRESEEDCRNG)
            finally:
                os.close(fd)
            random.seed()
        return {"version": VERSION, "kernel": os.uname().release}

    def run(
        self, argv: Sequence[str], input: bytes = b"", timeout: float = 60.0, env: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Run a command as root."""
        ended = process.run(argv, input, timeout, {TAG: "1", **(env or {})})
        return {
            "exit": ended.exit,
            "stdout": ended.stdout.decode("utf-8", "replace"),
            "stderr": ended.stderr.decode("utf-8", "replace"),
            "seconds": round(ended.seconds, 9),
            "timed_out": ended.timed_out,
        }

    def put(self, path: str, data: bytes, mode: int = 0o644, offset: int = 0, last: bool = True) -> None:
        """Write a file, or a piece of it."""
        target = Path(path)
        temporary = target.with_name(f".crashinit-put-{zlib.crc32(os.fsencode(target.name)):08x}")
        try:
            if offset == 0:
                target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("r+b" if offset else "wb") as file:
                if file.seek(0, os.SEEK_END) != offset:
                    raise ValueError(f"a piece begins at {offset}, and {file.tell()} bytes are there")
                file.write(data)
            if last:
                temporary.chmod(mode)
                temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def get(self, path: str, offset: int = 0, size: int = -1) -> dict[str, str]:
        """Read a file, or a piece of it."""
        with Path(path).open("rb") as file:
            file.seek(offset)
            return {"data": base64.b64encode(file.read(size)).decode()}

    def disk(self, serial: str, timeout: float) -> dict[str, str]:
        """Wait for a disk that was plugged in."""
        return {"node": disks.node(serial, timeout)}

    def mark(self) -> None:
        """Forget the kernel's messages so far, and remember who is there: what comes later is the driver's."""
        self._log.mark()
        self._census.take()

    def gate_start(
        self,
        argv: Sequence[str],
        root: str,
        deadline: float,
        stop: str | int = "never",
        env: Mapping[str, str] | None = None,
        ready: Mapping[str, str] | None = None,
        reads: bool = False,
        patience: float | None = None,
        settles: bool = False,
        limits: Mapping[str, int] | None = None,
    ) -> dict[str, Any]:
        """Start a command under a gate of its own."""
        self._started += 1
        gate = Gate(
            str(self._started),
            argv,
            root,
            deadline,
            stop,
            ready,
            reads=reads,
            delay=self._delay,
            settles=settles,
            limits=limits,
        )
        state = gate.start(env or {}, patience)
        self._gates[gate.ident] = gate
        return state

    def gate_wait(self, gate: str) -> dict[str, Any]:
        """Wait for one that goes on."""
        return self._gate(gate).wait()

    def gate_resume(self, gate: str, stop: str | int = "never") -> dict[str, Any]:
        """Let the held operation run."""
        return self._gate(gate).resume(stop)

    def gate_fail(self, gate: str, errno: int, forever: bool = False, stop: str | int = "never") -> dict[str, Any]:
        """Let the held operation fail."""
        if errno <= 0:
            raise GateError(f"{errno} is no errno: give a positive number")
        return self._gate(gate).resume(stop, errno, forever)

    def gate_kill(self, gate: str, victim: str) -> dict[str, Any]:
        """Kill the command or all of its run."""
        return self._gate(gate).kill(victim)

    def gate_signal(self, gate: str, signal: str, victim: str, kill_after: float | None = None) -> dict[str, Any]:
        """A signal that may be caught."""
        return self._gate(gate).signal(signal, victim, kill_after)

    def gate_pause(self, gate: str, victim: str, seconds: float) -> dict[str, Any]:
        """Stop processes for a while."""
        return self._gate(gate).pause(victim, seconds)

    def gate_hang(self, gate: str) -> dict[str, Any]:
        """Let the held operation hang."""
        return self._gate(gate).hang()

    def gate_finish(self, gate: str) -> dict[str, Any]:
        """The record of the run, which is then forgotten, unless it is a daemon's that can be stopped later."""
        run = self._gate(gate).finish()
        if not self._gates[gate].ready:
            del self._gates[gate]
        return run

    def gate_stop(self, gate: str, deadline: float) -> dict[str, Any] | None:
        """End a daemon."""
        found = self._gates.pop(gate, None)
        return found.stop(deadline) if found else None

    def actor_begin(self, kind: str, command: str = "") -> dict[str, Any]:
        """Somebody else comes."""
        self._beside = Beside(kind, command)
        return {"got": self._beside.got()}

    def actor_release(self, delay: float = 0.0) -> None:
        """It is to go."""
        if self._beside:
            self._beside.let_go(delay)

    def actor_end(self) -> dict[str, Any]:
        """It has gone."""
        return {"lost": self._beside.lost() if self._beside else []}

    def facts(self, root: str) -> dict[str, Any]:
        """What a driver leaves, in a few milliseconds."""
        return facts.facts(root, self._log, self._census)

    def part(self, name: str) -> None:
        """Load a family's part."""
        parts.load(name)

    def probe(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Observe."""
        return probe.observe(probe.Spec.of(spec), self._log, self._census)

    def exercise(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Use the base."""
        return exercise.exercise(probe.Spec.of(spec))

    def terminal_begin(self, argv: Sequence[str], env: Mapping[str, str], words: str, size: tuple[int, int]) -> None:
        """A shell for a person."""
        if self._terminal:
            self._terminal.close()
        self._terminal = Terminal(argv, env, words, (size[0], size[1]), {TAG: "1"})

    def terminal(self, typed: bytes, size: tuple[int, int], wait: float) -> dict[str, Any]:
        """What it shows."""
        return self._shell().exchange(typed, (size[0], size[1]), wait)

    def terminal_answer(self, name: str, status: int, again: str, said: bytes) -> None:
        """What it has asked for."""
        self._shell().answer(name, status, again, said)

    def _shell(self) -> Terminal:
        if self._terminal is None:
            raise LookupError("there is no terminal")
        return self._terminal

    def _delay(self) -> float:
        """Seconds that the next operation waits: in half of the cases none, else up to DELAY, more often few."""
        if self._delays is None or self._delays.random() < 0.5:
            return 0.0
        return float(DELAY * 10 ** -self._delays.uniform(0, DELAY_DECADES))

    def _gate(self, ident: str) -> Gate:
        if ident not in self._gates:
            raise GateError(f"there is no gate '{ident}'")
        return self._gates[ident]


def answer(calls: Mapping[str, Callable[..., Any]], line: bytes, raw: Callable[[int], bytes]) -> bytes:
    """The answer to one request line, behind which `raw` reads; a call that fails is answered with its error."""
    ident: Any = None
    try:
        request = json.loads(line)
        given = {key: raw(size) for key, size in request.get("raw", {}).items()}
        ident, name = request["id"], request["call"]
        if name not in calls:
            raise LookupError(f"there is no call '{name}'")
        reply: dict[str, Any] = {"id": ident, "result": calls[name](**request.get("arguments", {}), **given)}
    except Exception as error:
        told = {"type": type(error).__name__, "message": str(error), "traceback": traceback.format_exc()}
        reply = {"id": ident, "error": told}
    reply["clock"] = round(time.monotonic(), 6)
    return json.dumps(reply).encode() + b"\n"


def calls_of(agent: Agent) -> dict[str, Callable[..., Any]]:
    """The public methods of an agent by name."""
    return {name: getattr(agent, name) for name in vars(Agent) if not name.startswith("_")}


class Incoming:
    """What comes over the line, taken in lines and in raw bytes."""

    def __init__(self, line: Pipe | Port | Mailbox) -> None:
        self._line = line
        self._got = bytearray()

    def line(self) -> bytes:
        """The next line, without its line feed. Raises EOFError when the peer is gone."""
        seen = 0  # bytes in which there is no line feed
        while (end := self._got.find(b"\n", seen)) < 0:
            seen = len(self._got)
            self._got += self._line.read()
        return self.raw(end + 1)[:-1]

    def raw(self, size: int) -> bytes:
        """So many bytes. Raises EOFError likewise."""
        while len(self._got) < size:
            self._got += self._line.read()
        taken = bytes(self._got[:size])
        del self._got[:size]
        return taken


def serve(line: Pipe | Port | Mailbox) -> None:
    """Answer requests for as long as the line lasts."""
    calls, incoming = calls_of(Agent()), Incoming(line)
    with suppress(EOFError):
        while True:
            request = incoming.line()
            if request.strip():
                line.write(answer(calls, request, incoming.raw))


def main() -> None:
    """Serve on the port that the first argument names; `-`: on standard input and output; `mailbox`: in one."""
    with suppress(KeyboardInterrupt):
        serve(Pipe() if sys.argv[1] == "-" else Mailbox() if sys.argv[1] == NAME else Port(sys.argv[1]))


if __name__ == "__main__":
    main()
