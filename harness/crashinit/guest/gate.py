"""The gate: runs a command under a seccomp filter and stops it before each operation that it is asked to stop at."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from . import seccomp
from .decode import thread_group
from .group import TASKS, is_dying
from .launch import launch
from .operations import error_name
from .process import environment
from .served import KILL_LIMIT, GateError, Served
from .state import Held, State

KILL_CHECK = 0.02  # seconds between two looks at who of the killed is still there


class Gate(Served):
    """One gated run. Its methods are for the agent's thread; each returns when the run is stopped or has ended."""

    def start(self, env: Mapping[str, str], patience: float | None = None) -> dict[str, Any]:
        """Start the command; with `patience` return after so many seconds even if it goes on.

        Raises GateError when it cannot be started.
        """
        # e2fsprogs writes a superblock again if a second has passed since; with one time an init asks for the same each
        # time it is run (the variable is e2fsprogs' own, for its tests).
        given = environment({"E2FSPROGS_FAKE_TIME": str(int(time.time())), **env})
        program = shutil.which(self.argv[0], path=given["PATH"])
        if program is None:
            raise GateError(f"there is no program '{self.argv[0]}' in this machine")
        self._group.make(self._limits.get("nproc", TASKS))
        try:
            self._pid, fd, line = launch(
                program, self.argv, given, self._group.path, self._output, reads=self._reads, limits=self._limits
            )
        except OSError as error:
            self._group.remove()
            raise GateError(f"'{program}' cannot be put under the gate: {error}") from None
        with line:
            self._listener = seccomp.Listener(fd)
            self._decoder.view.main = self._pid
            self._pidfd = os.pidfd_open(self._pid)
            self._clock.begin()
            threading.Thread(target=self._serve, name=f"gate {self.ident}", daemon=True).start()
            trouble = line.recv(4096)
        if trouble:
            self.wait()
            raise GateError(f"'{program}' cannot be started: {trouble.decode()}")
        return self.wait(patience)

    def resume(self, stop: str | int, number: int = 0, forever: bool = False) -> dict[str, Any]:
        """Let the held operation run, or fail with errno `number`; go on to the next stop."""
        with self._change:
            self._held_call()
            operation = self._records.all[-1]
            if number:
                if operation["kind"] == "exit":
                    raise GateError("the end of a process cannot fail")
                operation["detail"]["errno"] = error_name(number)
                self._decoder.view.data = True  # what follows differs from fault to fault, and is compared
                if forever:
                    self._failing[operation["kind"], operation["object"]] = number
            self._stop = stop
            self._decide(number)
        return self.wait()

    def kill(self, victim: str) -> dict[str, Any]:
        """SIGKILL the command or its whole cgroup; returns when the victims are gone, with those that live on."""
        with self._change:
            if victim == "tree":
                self._group.kill()
            elif victim == "process":
                if self.exit is None:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            else:
                raise GateError(f"'{victim}' is no victim: give 'process' or 'tree'")
            self._stop = "never"
            end = time.monotonic() + KILL_LIMIT
            while self._trouble is None and not self._gone(victim) and time.monotonic() < end:
                self._change.wait(KILL_CHECK)
            self._check()
            self.hung = self.exit is None
            # Only now: a call that is answered while the signal is still on its way would run all the same.
            if self._held is not None:
                if not self._listener.valid(self._held.call.id):
                    self._records.all[-1]["detail"]["killed"] = victim
                self._decide(0)
        return {"survivors": self._group.alive()}

    def signal(self, signal_name: str, victim: str, kill_after: float | None = None) -> dict[str, Any]:
        """A signal to "process", "tree", or "child" (the process that acts), while its operation is held.

        Who catches the signal does the operation and goes on. With `kill_after` who of the victims is left so many
        seconds later is killed.
        """
        with self._change:
            self._signalled(signal_name, victim)
            self._decide(0)
            if kill_after is not None:
                self._change.wait_for(lambda: self.exit is not None or self._trouble is not None, kill_after)
                if self.exit is None:
                    self.kill(victim)
        return self.wait()

    def pause(self, victim: str, seconds: float) -> dict[str, Any]:
        """SIGSTOP to "process" or "tree", and SIGCONT so many seconds later; who is not stopped goes on meanwhile."""
        with self._change:
            held = self._signalled("SIGSTOP", victim)
            end = time.monotonic() + seconds
            if thread_group(held.call.pid) not in self._victims(victim):
                self._decide(0)
            else:
                self._clock.go()
            while self._trouble is None and self.exit is None and (left := end - time.monotonic()) > 0:
                self._change.wait(left)
            self._check()
            self._send("SIGCONT", victim)
            if self._held is held:
                self._decide(0)
        return self.wait()

    def hang(self) -> dict[str, Any]:
        """The held operation never returns. Other processes of the run go on."""
        with self._change:
            self._held_call()
            self._records.all[-1]["detail"]["hangs"] = "for ever"
            self._decoder.view.data = True
            self._held = None  # nobody will answer it; a signal that ends its process ends the call
            self._stop = "never"
            self._clock.go()
            self._wake_thread()
        return self.wait()

    def _held_call(self) -> Held:
        self._check()
        if self._held is None:
            raise GateError(f"the gate '{self.ident}' holds no operation")
        return self._held

    def _signalled(self, signal_name: str, victim: str) -> Held:
        """Send a signal while a call is held; when this returns, who dies of it will not do that call any more."""
        held = self._held_call()
        detail = self._records.all[-1]["detail"]
        detail["signal"] = signal_name
        self._decoder.view.data = True  # what follows differs from fault to fault, and is compared
        self._stop = "never"
        self._send(signal_name, victim)
        end = time.monotonic() + KILL_LIMIT
        while self._listener.valid(held.call.id) and is_dying(held.call.pid) and time.monotonic() < end:
            self._change.wait(KILL_CHECK)
            self._check()
        if not self._listener.valid(held.call.id):
            detail["killed"] = victim
        return held

    def _send(self, signal_name: str, victim: str) -> None:
        for pid in self._victims(victim):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.Signals[signal_name])

    def _victims(self, victim: str) -> list[int]:
        """The process ids of those that a signal goes to."""
        if victim == "tree":
            return self._group.alive()
        if victim == "process":
            return [] if self.exit is not None else [self._pid]
        if victim != "child":
            raise GateError(f"'{victim}' is no victim: give 'process', 'tree' or 'child'")
        child = int(self._records.all[-1]["pid"])
        if child == self._pid:
            raise GateError("the driver itself is about to act, and no child of it")
        return [child]

    def _gone(self, victim: str) -> bool:
        """Whether those that were killed are gone, and with them what a parent-death signal has killed."""
        if self.exit is None:
            return False
        return not (self._group.populated() if victim == "tree" else self._group.dying())

    def finish(self) -> dict[str, Any]:
        """The run, let go if it is held. Survivors of a killed command are served on until they end."""
        if self.state is State.HELD:
            self.resume("never")
        with self._change:
            self._check()
            over = self.exit is not None or self.ready or self.hung
            run = self._run(self._ended_after if over else self._clock.seconds())
            run["busy"] = self._group.busy() if self._busy is None else self._busy
            run["operations"], run["uevents"] = list(self._records.all), self._uevents.seen(self._clock.seconds())
            self._finished = True
            self._wake_thread()
        return run

    def stop(self, deadline: float) -> dict[str, Any]:
        """End a daemon that is ready, in the orderly way: SIGTERM, then wait. At the deadline its cgroup is killed."""
        begin = time.monotonic()

        def over() -> bool:
            return self.exit is not None or self._trouble is not None

        with self._change:
            self._check()
            busy = self._group.busy()
            if self.exit is None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
            self._change.wait_for(over, deadline)
            self._check()
            self.timed_out = self.exit is None
            if self.timed_out:
                busy_now = self._group.busy()
                self._busy = None if busy is None or busy_now is None else busy_now - busy
                self._group.kill()
                self._change.wait_for(over, KILL_LIMIT)
                self._check()
                self.hung = self.exit is None
            return {**self._run(time.monotonic() - begin), "busy": self._busy if self.timed_out else None}

    def _run(self, seconds: float) -> dict[str, Any]:
        stdout, stderr = self._output.texts()
        return {
            "argv": self.argv,
            "pid": self._pid,
            "exit": self.exit,
            "timed_out": self.timed_out,
            "hung": self.hung,
            "stdout": stdout,
            "stderr": stderr,
            "seconds": round(seconds, 9),
            "operations": [],
            "uevents": [],
            "unseen": [f"{what} (calls: {count})" for what, count in sorted(self._unseen.items())],
        }

    def wait(self, patience: float | None = None) -> dict[str, Any]:
        """Where the run is, once it is held or has ended, or after so many seconds."""
        with self._change:
            self._change.wait_for(lambda: self.state not in (State.RUNNING, State.ANSWERED), patience)
            self._check()
            held = self.state is State.HELD
            return {
                "gate": self.ident,
                "state": "stopped" if held else "running" if self.state is State.RUNNING else "ended",
                "operation": self._records.all[-1] if held else None,
                "processes": len(self._group.alive()),
                "exit": self.exit,
                "timed_out": self.timed_out,
            }
