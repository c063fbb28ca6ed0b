"""How an adapter file is read."""

import re

from pydantic import ValidationError

from crashinit.adapters.adapter import Adapter
from crashinit.adapters.inherited import found, said
from crashinit.errors import UsageError
from crashinit.files import refused


def load(name: str) -> Adapter:
    """The adapter of that name, or in that file; raises UsageError that says what is wrong and where."""
    path = found(name)
    text, data = said(path)
    if "directory" in data:
        raise UsageError(f"'{path}': 'directory' is not a key of an adapter file.")
    try:
        adapter = Adapter(**data, directory=path.resolve().parent)
    except ValidationError as error:
        fault = refused.first(error)
        keys = [part for part in fault["loc"] if isinstance(part, str)]
        line = _line(text, keys[-1]) if keys else ""
        raise UsageError(f"'{path}'{line}: {refused.sentence(fault, Adapter)}") from error
    adapter._places = {"": f"'{path}': "} | {
        file.source: f"'{path}'{_line_with(text, file.source)}: " for file in adapter.install.files
    }
    return adapter


def _line(text: str, key: str) -> str:
    """Where a key, or the table of that name, stands in a file: ', line 3'; nothing if that cannot be told."""
    found = re.search(rf"(?m)^\s*(?:{re.escape(key)}\s*=|\[{re.escape(key)}\])", text)
    return f", line {text[: found.start()].count(chr(10)) + 1 + found[0].count(chr(10))}" if found else ""


def _line_with(text: str, value: str) -> str:
    """The same for a value in quotes; nothing if it is spelt with escapes."""
    spelt = re.search(rf"""source\s*=\s*(["']){re.escape(value)}\1""", text)
    return f", line {text[: spelt.start()].count(chr(10)) + 1}" if spelt else ""
