"""Names of Debian packages: the only words of an adapter that reach a package manager."""

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from crashinit.errors import UsageError

# Debian policy 5.6.1 (Source), which 5.6.7 (Package) refers to, and 5.6.12 (Version). A word that apt would take for an
# option begins with a dash; one that ends with a dash it would take for a package to be removed.
NAME = r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]"
VERSION = r"(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]*"
SUITE = r"[a-z][a-z0-9.-]*"
PACKAGE = re.compile(rf"{NAME}(?:={VERSION}|/{SUITE})?", re.ASCII)
FORMS = "'name', 'name=version' or 'name/suite'"


def wrong(packages: Iterable[str]) -> str:
    """What is wrong with the first that is no package name, as half a sentence; "" when all are."""
    bad = next((name for name in packages if not PACKAGE.fullmatch(name)), None)
    return "" if bad is None else f"'{bad}' is not the name of a Debian package, which is {FORMS}"


def checked(packages: Iterable[str]) -> tuple[str, ...]:
    """These packages, or a UsageError that names the first that is none."""
    named = tuple(packages)
    if said := wrong(named):
        raise UsageError(f"{said}: correct it.")
    return named


def _validated(packages: tuple[str, ...]) -> tuple[str, ...]:
    if said := wrong(packages):
        raise ValueError(said)
    return packages


Packages = Annotated[tuple[str, ...], AfterValidator(_validated)]  # as a field of a model
