"""At which commit each report was last shown: a line a report in a file beside their scenarios."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from crashinit.errors import UsageError
from crashinit.files import textfile
from crashinit.files.safe import write_text

SHOWN = "shown.txt"
LINE = re.compile(r"(?P<name>\S+) (?P<commit>[0-9a-f]{7,40})")


def read(directory: Path) -> dict[str, str]:
    """For each report that was ever shown the commit at which it last was. Raises UsageError."""
    path = directory / SHOWN
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(textfile.read(path, "the record").splitlines(), 1):
        if not (match := LINE.fullmatch(line)):
            raise UsageError(f"'{path}', line {number}: it has to be a report and a commit: '{line}'.")
        found[match["name"]] = match["commit"]
    return found


def write(directory: Path, names: Iterable[str], commit: str) -> None:
    """Note that these were shown at that commit; of all others stays what was noted."""
    noted = read(directory) | dict.fromkeys(names, commit)
    write_text(directory / SHOWN, "".join(f"{name} {noted[name]}\n" for name in sorted(noted)))


def commit(directory: Path) -> str:
    """The commit of the checkout here that has this directory. Raises UsageError where there is none, or where files
    differ from it.
    """

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True)
        if done.returncode:
            raise UsageError(
                f"what is shown is noted with its commit, and 'git {words[0]}' says: {done.stderr.strip()}"
            )
        return done.stdout.strip()

    if not directory.is_dir():
        raise UsageError(f"what is shown is noted in '{directory}', which is not here: go to the top of the checkout.")
    if changed := git("status", "--porcelain", "--untracked-files=no"):
        raise UsageError(
            f"what is shown is noted with its commit, and '{changed.split()[1]}' differs from it: commit it."
        )
    return git("rev-parse", "--short=10", "HEAD")
