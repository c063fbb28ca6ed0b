"""An adapter file that says only what is different: `extends`, and `--set` on the command line.

What the file says takes the place of what the other one says, key by key inside tables. Of the lists of what a machine
gets, entries with another target are added; every other list is replaced.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crashinit.adapters.adapter import HERE
from crashinit.adapters.parts import PYTHON
from crashinit.errors import UsageError
from crashinit.files import shipped, textfile, tomlfile
from crashinit.files.safe import write_text
from crashinit.machine.cache import cache_dir, digest, disk_errors

EXTENDS = "extends"
GOT = ("files", "archives")  # of [install]: lists of tables with `source` and `target`
PACKAGES = "debs"  # of [install]: a list of paths
DEPTH = 10  # files that extend one another
FILE = re.compile(r"install\.files\.(?P<target>/[^=]*[^=/\s])\s*=\s*(?P<source>.+)", re.DOTALL)
BARE = re.compile("[A-Za-z0-9_-]+")  # a key of TOML that needs no quotes
OWN = "-own"  # what the name of an adapter ends with that was changed on the command line


def names() -> list[str]:
    """The adapters that come with the harness."""
    return shipped.names(HERE)


def found(name: str) -> Path:
    """The file of the adapter of that name, or that file. Raises UsageError when it is not there."""
    return shipped.found(name, HERE, "adapter", "driver adapter")


def said(path: Path, depth: int = DEPTH) -> tuple[str, dict[str, Any]]:
    """A file's text, and what it and the files that it extends say. Raises UsageError."""
    text = textfile.read(path, "the adapter file")
    try:
        data = tomlfile.read(text)
    except ValueError as error:
        raise UsageError(f"'{path}': not valid TOML: {error}.") from error
    if EXTENDS not in data:
        return text, data
    other = data.pop(EXTENDS)
    if not isinstance(other, str) or not other:
        raise UsageError(f"'{path}': '{EXTENDS}' must be the name of an adapter, or the path of an adapter file.")
    if not depth:
        raise UsageError(f"'{path}': more than {DEPTH} adapter files extend one another.")
    other_path = found(str(path.parent / other) if other.endswith(".toml") else other)
    _, inherited = said(other_path, depth - 1)
    inherited.pop("name", None)
    return text, merged(placed(inherited, other_path.resolve().parent), {"name": path.stem, **data})


def merged(first: dict[str, Any], second: dict[str, Any], where: str = "") -> dict[str, Any]:
    """What the second says, and the first where that says nothing."""
    both = dict(first)
    for key, value in second.items():
        before = first.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            both[key] = merged(before, value, key)
        elif where == "install" and key in GOT and _are_tables(before) and _are_tables(value):
            targets = {entry.get("target") for entry in value}
            both[key] = [*(entry for entry in before or () if entry.get("target") not in targets), *value]
        else:
            both[key] = value
    return both


def changed(driver: str, settings: Sequence[str]) -> str:
    """The adapter with settings of the command line: a file in the cache that extends it; without any, `driver`.

    Each is KEY=VALUE as a line of TOML; what is no value of TOML is taken for a text. `install.files.TARGET=SOURCE` is
    a file or directory of the host. Raises UsageError.
    """
    if not settings:
        return driver
    base = found(driver)
    data: dict[str, Any] = {}
    for setting in settings:
        data = merged(data, _setting(setting))
    data = placed(data, Path.cwd())
    text = written(data)
    name = "" if "name" in data else f"name = {_value(_named(base))}\n"
    text = f"{EXTENDS} = {_value(str(base.resolve()))}\n{name}{text}"
    path = cache_dir() / "adapters" / f"{base.stem}{OWN}-{digest(text)}.toml"
    with disk_errors(path.parent):
        path.parent.mkdir(exist_ok=True)
    write_text(path, text)
    return str(path)


def _named(base: Path) -> str:
    name = said(base)[1].get("name", base.stem)
    return name if str(name).endswith(OWN) else f"{name}{OWN}"


def _setting(setting: str) -> dict[str, Any]:
    """One setting as what a file would say."""
    if file := FILE.fullmatch(setting):
        source = file["source"].strip("\"'")
        return {"install": {"files": [{"source": source, "target": file["target"]}]}}
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"'--set {setting}': give a key of an adapter file and its value, as KEY=VALUE.")
    for line in (setting, f"{key} = {json.dumps(value)}"):
        try:
            return tomlfile.read(line)
        except ValueError:
            continue
    raise UsageError(f"'--set {setting}': '{key}' is no key of an adapter file.")


def placed(data: dict[str, Any], directory: Path) -> dict[str, Any]:
    """The same, meant from any directory: the paths of what a machine gets begin at the root."""
    install = data.get("install")
    if not isinstance(install, dict):
        return data
    placed = dict(install)
    for key in GOT:
        if _are_tables(install.get(key)):
            placed[key] = [
                {**entry, "source": _absolute(entry["source"], directory)} if "source" in entry else entry
                for entry in install[key]
            ]
    if isinstance(install.get(PACKAGES), list):
        placed[PACKAGES] = [_absolute(path, directory) for path in install[PACKAGES]]
    return {**data, "install": placed}


def _absolute(source: Any, directory: Path) -> Any:
    return source if not isinstance(source, str) or source.startswith(PYTHON) else str(directory / source)


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def written(data: dict[str, Any]) -> str:
    """What an adapter or guest file says, as TOML: tables after all else, those inside them on one line."""
    plain = {key: value for key, value in data.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in data.items() if isinstance(value, dict)}
    heads = [("", plain), *((f"\n[{_key(key)}]\n", table) for key, table in tables.items())]
    return "".join(
        head + "".join(f"{_key(key)} = {_value(value)}\n" for key, value in said.items()) for head, said in heads
    )


def _value(value: Any) -> str:
    """A value as TOML spells it: as JSON does, but for tables."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(part)}' for key, part in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML has no half of a surrogate pair


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _value(key)
