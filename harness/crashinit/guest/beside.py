"""Who is beside the driver: starts an actor (actors.py) in a process of its own, and has it let go."""

import json
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from .census import TAG
from .process import anonymous, environment, kept

PATIENCE = 30.0  # seconds that an actor gets to take what it wants, or to give it back
HERE = Path(__file__).parents[2]


class Beside:
    """One actor at work."""

    def __init__(self, kind: str, command: str) -> None:
        self._kind = kind
        self._said = anonymous("actor")
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.actors", kind, *([command] if command else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=HERE,
            env=environment({TAG: "1"}),
            start_new_session=True,
        )

    def got(self) -> list[str]:
        """What it took. Raises ChildProcessError when it failed at something else than that there was nothing."""
        line = self._line()
        if not line:
            said = kept(self._said).decode("utf-8", "replace").strip().splitlines()
            raise ChildProcessError(f"the actor '{self._kind}' failed: {said[-1] if said else 'it said nothing'}")
        return [str(name) for name in json.loads(line)]

    def let_go(self, delay: float) -> None:
        """Have it let go in so many seconds."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.write(f"{delay}\n".encode())
            self._process.stdin.close()

    def lost(self) -> list[str]:
        """What was not as it had left it, once it has let go."""
        line = self._line()
        with suppress(subprocess.TimeoutExpired):  # a read of a suspended device never ends
            self._process.wait(PATIENCE)  # only then is all closed that it had open
        return [str(one) for one in json.loads(line)] if line else [f"the actor '{self._kind}' does not come back"]

    def _line(self) -> bytes:
        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        return self._process.stdout.readline() if ready else b""
