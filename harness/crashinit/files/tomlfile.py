"""TOML from a stranger: what is wrong with it, in words for people."""

import tomllib
from typing import Any

from crashinit.files.yamlfile import DIGITS


def read(text: str) -> dict[str, Any]:
    """The text's keys and values. Raises ValueError that says what is wrong."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise ValueError("its brackets are nested too deeply") from error
    except ValueError as error:  # of all that a value may be, tomllib leaves this to int()
        raise ValueError(f"a number in it has more than {DIGITS:,} digits") from error
