"""What is different here from where a bundle was made, in one sentence."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from crashinit import adapters
from crashinit.bundle import about as abouts
from crashinit.bundle.about import About
from crashinit.bundle.opened import refuse_foreign_guest
from crashinit.machine import guests
from crashinit.machine.guests.image import image
from crashinit.machine.seed import apart
from crashinit.report.words import many

SHOWN = 5  # packages that the sentence names


def differences(archive: Path, directory: Path, machines: str, *, asked: bool, note: Callable[[str], None]) -> str:
    """The sentence, for a replay on these machines; their image is built for it if need be.

    `directory`: of the bundle that is open here. `asked`: the guest was chosen here, and is not the bundle's.
    Raises UsageError for a guest of the bundle's that would be trusted with more than Debian's packages, HostError.
    """
    about = abouts.read(directory, archive)
    if not asked:
        refuse_foreign_guest(archive, directory, about)
    provider, guest = apart(machines)
    facts: Mapping[str, object] = {}
    if provider.startswith("qemu"):
        adapter = adapters.load(str(directory / about.adapter))
        facts = image(adapter.packages, guest=guests.load(guest), note=note).facts
    return sentence(about, version("crashinit"), guest, facts)


def sentence(about: About, crashinit: str, guest: str, facts: Mapping[str, object]) -> str:
    """The same from what is known of both. `facts`: of the image here; {}: nothing is known of it."""
    found = [*_differ(about, crashinit, guest, facts)]
    unknown = [] if about.guest.packages and facts else ["the packages of both guests cannot be compared"]
    if found:
        return f"What is different here: {'; '.join([*found, *unknown])}."
    same = unknown or [f"the same {many(len(about.guest.packages), 'package')}"]
    kernel = about.guest.kernel or "not recorded"
    return f"Nothing is different here: crashinit {crashinit}, guest {about.guest.name}, kernel {kernel}; {same[0]}."


def _differ(about: About, crashinit: str, guest: str, facts: Mapping[str, object]) -> Iterator[str]:
    if crashinit != about.crashinit:
        yield f"crashinit {crashinit} (the bundle was made by {about.crashinit})"
    name = guests.load(guest).name
    if name != about.guest.name:
        yield f"the guest {name} (there {about.guest.name})"
    kernel = facts.get("kernel", "")
    if kernel and about.guest.kernel and kernel != about.guest.kernel:
        yield f"kernel {kernel} (there {about.guest.kernel})"
    packages = facts.get("packages", {})
    here: Mapping[str, str] = packages if isinstance(packages, dict) else {}
    there = about.guest.packages
    other = sorted(one for one in here.keys() | there.keys() if here.get(one) != there.get(one)) if there else []
    if here and other:
        shown = [f"{one} {here.get(one, 'is not there')} (there {there.get(one, 'none')})" for one in other[:SHOWN]]
        more = f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
        yield f"{many(len(other), 'package')} of {len(here.keys() | there.keys())}: {', '.join(shown)}{more}"
