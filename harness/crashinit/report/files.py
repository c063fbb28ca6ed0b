"""Where the file of a scenario lies: a run tells no path, but by default a scenario's name is folder and file."""

import re
from glob import escape
from pathlib import Path

_HIDDEN = re.compile(r"[/\\]\.|^\.")
_DEPTHS = ("", "*/", "*/*/")  # no further: the directory may be a whole home, or the root


class ScenarioFiles:
    """The files of scenarios not far below one directory, each looked for once."""

    def __init__(self, top: Path) -> None:
        self.top = top.resolve()
        self._found: dict[str, Path | None] = {}

    def of(self, scenario: str) -> Path | None:
        """The absolute path of the file of that name; None: there is none, or it is a link to somewhere else."""
        if scenario not in self._found:
            there = (path for depth in _DEPTHS for path in sorted(self.top.glob(f"{depth}{escape(scenario)}.yaml")))
            shown = (path.resolve() for path in there if not _HIDDEN.search(str(path.relative_to(self.top))))
            self._found[scenario] = next((path for path in shown if path.is_relative_to(self.top)), None)
        return self._found[scenario]

    def relative(self, scenario: str) -> str | None:
        """That path from the directory on, with slashes."""
        path = self.of(scenario)
        return path.relative_to(self.top).as_posix() if path else None
