"""Plans in the cache: what a run has planned is known to a listing, which need not record an init for it.

A plan's key names all that went into it: what the scenarios and the adapter say, the files that the driver's machine
gets, the guest, the machines' provider and seed, and the harness's own files. Only listings read it: a run records its
own inits, since it compares with them. A plan is a directory as a run's, and counts for the cache's limit.
"""

import hashlib
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from crashinit.adapters import Adapter, load
from crashinit.errors import HostError, UsageError
from crashinit.machine import guests
from crashinit.machine.cache import Shelf, digest
from crashinit.machine.seed import apart
from crashinit.model.trial import MADE_BY
from crashinit.run.kept import Prepared, adapter_digest, read_prepared
from crashinit.scenario.scenario import Scenario
from crashinit.trial.made_by import made_by

PACKAGE = Path(__file__).parents[1]
SHELF, KEEP = "plans", 50


def recalled(scenarios: Sequence[Scenario], driver: str, provider: str) -> Prepared | None:
    """The plan of these scenarios, if nothing that went into it has changed since. Raises UsageError."""
    name = key(scenarios, driver, provider)
    with suppress(HostError):  # no cache, no plan
        if entry := Shelf(SHELF, KEEP).find(name):
            with suppress(UsageError):  # another process has just removed it, or it is damaged
                return read_prepared(entry)
    return None


def keep(prepared: Prepared, scenarios: Sequence[Scenario], driver: str, provider: str) -> None:
    """Keep a plan in the place of the one before. Raises HostError, UsageError."""
    shelf, name = Shelf(SHELF, KEEP), key(scenarios, driver, provider)
    if shelf.find(name):
        shelf.remove(name)
    shelf.get(name, prepared.store)


def key(scenarios: Sequence[Scenario], driver: str, provider: str) -> str:
    """What a plan is kept under. Raises UsageError for an adapter, a guest or a file that is not there."""
    _, guest = apart(provider)
    parts = [provider, own_files(), *_of_guest(guest), *_of_adapter(load(driver))]
    for scenario in scenarios:
        parts.append(scenario.model_dump_json())
        if scenario.given.startswith(MADE_BY):
            name, elsewhere = made_by(scenario.given)
            parts += [*_of_adapter(load(name)), *_of_guest(elsewhere or guest)]
    return digest(*parts)


@cache
def own_files() -> str:
    """A digest of all files of the harness, code and data."""
    paths = [path for path in sorted(PACKAGE.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    return digest(*(part for path in paths for part in (str(path.relative_to(PACKAGE)), path.read_bytes())))


def _of_guest(name: str) -> Iterator[str]:
    guest = guests.load(name)
    yield guest.model_dump_json()
    yield guest.digest()


def _of_adapter(adapter: Adapter) -> Iterator[str]:
    yield adapter_digest(adapter)
    for path, target in adapter.check_files():
        mode = path.lstat().st_mode
        yield f"{target} {mode:o}"
        if stat.S_ISLNK(mode):
            yield str(path.readlink())
        elif stat.S_ISREG(mode):
            with path.open("rb") as file:
                yield hashlib.file_digest(file, "sha256").hexdigest()
