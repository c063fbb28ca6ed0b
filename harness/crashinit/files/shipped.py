"""Files that come with the harness and are asked for by their names, beside those that users have."""

from pathlib import Path

from crashinit.errors import UsageError


def names(directory: Path) -> list[str]:
    """What comes along in a directory of TOML files."""
    return sorted(path.stem for path in directory.glob("*.toml"))


def found(name: str, directory: Path, what: str, called: str) -> Path:
    """The file of that name in the directory, or the file at that path. Raises UsageError when it is not there.

    `what` and `called` are the words of messages for a file and for what it describes: "guest", "guest".
    """
    path = Path(name) if name.endswith(".toml") or "/" in name else directory / f"{name}.toml"
    if path.parent == directory and path.stem not in names(directory):
        known = ", ".join(names(directory))
        raise UsageError(f"there is no {called} '{name}': known are {known}, or give a .toml file.")
    if path.is_dir():
        raise UsageError(f"the {what} file '{path}' is a directory.")
    if not path.exists():
        meant = "" if path.is_absolute() else f": from this directory it leads to '{path.absolute()}'"
        raise UsageError(f"the {what} file '{path}' does not exist{meant}.")
    return path
