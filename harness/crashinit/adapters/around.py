"""What is scarce around a driver in its machine: some of it holds for its processes, and some for the whole machine.

Sources: setrlimit(2); cgroup-v2.rst, pids.max; ipc_namespaces(7); proc(5), /proc/sys/kernel/sem; fallocate(1);
mount(8), bind mounts; date(1).
"""

from collections.abc import Sequence
from typing import Any

from crashinit.machine.protocol import Machine

OF_PROCESSES = ("nofile", "fsize", "nproc", "own-ipc")
# How each begins, and how it is over; $1 is the number, $2 the directory, which may not be there yet. The blocks that
# ext4 holds back for root are handed out first: they would make the room a guess.
NEAREST = 'd=$2; until test -d "$d"; do d=$(dirname "$d"); done\n'
PLACE = f'{NEAREST}at=$(findmnt -n -o TARGET --target "$d"); filler="${{at%/}}/.crashinit-filler"\n'
BEGIN = {
    "semaphores": 'echo "$(cat /proc/sys/kernel/sem)" >/run/crashinit-sem\n'
    "set -- $1 $(cat /proc/sys/kernel/sem)\n"
    'echo "$2 $3 $4 $1" >/proc/sys/kernel/sem',
    "room": f"""{PLACE}
echo 0 >"/sys/fs/ext4/$(basename "$(findmnt -n -o SOURCE --target "$d")")/reserved_clusters"
dd if=/dev/zero of="$filler-spacer" bs=1K count=$(($1 / 1024)) 2>/dev/null; sync
fallocate -l $(($(stat -f -c %f "$d") * $(stat -f -c %S "$d"))) "$filler" 2>/dev/null || true
dd if=/dev/zero of="$filler-rest" bs=4K 2>/dev/null || true; sync
rm "$filler-spacer"; sync""",
    "read-only": f'{NEAREST}echo "$d" >/run/crashinit-ro; mount --bind "$d" "$d"; mount -o remount,bind,ro "$d"',
    "clock": 'date -s "@$(($(date +%s) + $1))"',
}
OVER = {
    "semaphores": "cat /run/crashinit-sem >/proc/sys/kernel/sem; rm /run/crashinit-sem",
    "room": f'{PLACE}rm -f "$filler" "$filler-rest"; sync',
    "read-only": 'umount -l "$(cat /run/crashinit-ro)"; rm /run/crashinit-ro',
    "clock": ":",  # nobody sets it right
}


class Around:
    """The surroundings of the inits in one machine, as a setup has them. Stateless but for whether they are over."""

    def __init__(self, machine: Machine, root: str, words: Sequence[str]) -> None:
        self._machine = machine
        self._root = root
        self._given = {key: int(number) for key, _, number in (word.partition("=") for word in words)}

    @property
    def limits(self) -> dict[str, Any]:
        """What the gate gives a command to live with: an argument of its start; {}: nothing."""
        found = {key: self._given[key] for key in OF_PROCESSES if key in self._given}
        return {"limits": found} if found else {}

    def begin(self) -> None:
        """They hold from now on. Raises GuestError."""
        self._all(BEGIN)

    def over(self) -> None:
        """They hold no longer. Raises GuestError."""
        self._all(OVER)
        self._given = {}

    def _all(self, scripts: dict[str, str]) -> None:
        for key, script in scripts.items():
            if key in self._given:
                self._machine.run("sh", "-ec", script, "sh", str(self._given[key]), self._root, timeout=120.0).check()
