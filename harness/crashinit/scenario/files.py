"""Which YAML files are scenarios, by a look at their words: others lie beside them, and beside Python tests."""

import difflib
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

KEYS = (
    "title", "step", "at", "steps", "fault", "victims", "phases", "errnos", "restarts", "given", "recovery", "actor",
    "udev", "expect",
)  # fmt: skip


def below(directory: Path, left_out: list[str]) -> Iterator[Path]:
    """The scenario files below a directory; not in those that pytest does not look into either."""
    for path in sorted(directory.iterdir()):
        if path.is_dir():
            if not any(fnmatch(path.name, pattern) for pattern in left_out):
                yield from below(path, left_out)
        elif path.suffix == ".yaml" and looks_like_a_scenario(path):
            yield path


def looks_like_a_scenario(path: Path) -> bool:
    """Whether a YAML file is one of ours: others lie beside Python tests. It has two of the keys, perhaps misspelt."""
    try:
        if not path.is_file():  # a fifo would wait
            return False
        with path.open("rb") as file:
            text = file.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return False
    words = set(re.findall(r"(?m)^[\"']?(\w+)[\"']?\s*:", text))
    return len({key for word in words for key in difflib.get_close_matches(word, KEYS, n=1, cutoff=0.75)}) >= 2
