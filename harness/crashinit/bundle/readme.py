"""The README.md of a bundle: what failed, and how to see it again, in plain words."""

import shlex
from collections.abc import Iterator

from crashinit.adapters import Adapter
from crashinit.bundle.about import ADAPTER, About
from crashinit.bundle.tree import KERNEL_LOG, RECORDING, SCENARIO, STORY, TRIAL
from crashinit.contract.said import ending
from crashinit.model.events import TrialResult
from crashinit.model.fault import kind_of
from crashinit.model.observation import Evidence
from crashinit.report.kinds import how_often
from crashinit.report.markdown import block, code, text
from crashinit.report.strike import sentence

SHOWN = 12  # packages whose versions stand there: those that the adapter asks for, and what all machines need
ALWAYS = ("dmsetup", "e2fsprogs", "thin-provisioning-tools", "udev", "util-linux")
ADDRESS = "https://pypi.org/project/crashinit/"


def readme(about: About, evidence: Evidence, result: TrialResult, adapter: Adapter, *, has_scenario: bool) -> str:
    """The whole text."""
    return "\n".join(_lines(about, evidence, result, adapter, has_scenario)) + "\n"


def _lines(
    about: About, evidence: Evidence, result: TrialResult, adapter: Adapter, has_scenario: bool
) -> Iterator[str]:
    yield f"# {text(adapter.title)}: {_heading(result)}"
    yield ""
    yield text(sentence(result, evidence))
    if evidence.reinits:
        count = len(evidence.reinits)
        which = "The next init" if count == 1 else f"The last of {count} inits that followed"
        yield f"{which} {text(ending(evidence.reinits[-1]))}."
    if result.reason:
        yield ""
        yield f"Found: {text(result.reason)}"
    if often := how_often([result]):
        yield ""
        yield f"{text(often[:1].upper() + often[1:])}."
    yield ""
    yield "## See it again"
    yield ""
    yield (
        f"[crashinit]({ADDRESS}) {code(about.crashinit)} made this bundle. On a Linux host with QEMU and that program, "
        "these commands tell the story, run the trial again, and open a shell in the machine at that moment:"
    )
    yield ""
    yield block(f"crashinit show {shlex.quote(about.name)}")
    yield block(f"crashinit replay {shlex.quote(about.name)}")
    if not kind_of(result.fault).cuts_power:
        yield block(f"crashinit replay {shlex.quote(about.name)} --shell")
    yield ""
    yield (
        "The replay boots a machine that is thrown away, puts the driver of this bundle into it, runs its init up to "
        "that point, lets the fault happen there, starts the init again, and looks at what is left. It first says in "
        "one sentence what is different on your host. The first run builds the machine's image from Debian packages, "
        "which needs root once; `crashinit doctor` says what is missing."
    )
    yield ""
    yield "## What is in here"
    yield ""
    yield "| file | what it holds |"
    yield "|---|---|"
    for name, what in _contents(about, result, has_scenario):
        yield f"| {code(name)} | {text(what)} |"
    yield ""
    if not has_scenario:
        yield "Its run did not keep the scenario, so there is none in here; `plan.json` says all that the replay needs."
        yield ""
    yield "## The machine"
    yield ""
    kernel = f"kernel {code(about.guest.kernel)}" if about.guest.kernel else "a kernel that is not recorded"
    yield f"Guest {code(about.guest.name)}, {kernel}."
    if about.guest.packages:
        shown = [name for name in (*adapter.packages, *ALWAYS) if name in about.guest.packages]
        versions = ", ".join(f"{name} {about.guest.packages[name]}" for name in list(dict.fromkeys(shown))[:SHOWN])
        yield f"Packages, of {len(about.guest.packages)}: {text(versions)}. All of them stand in `bundle.json`."
    else:
        yield "The versions of its packages are not recorded."


def _heading(result: TrialResult) -> str:
    return "an init that does not recover" if result.recovered is False else f"a trial that {_ended(result)}"


def _ended(result: TrialResult) -> str:
    said = {"diverged": "leaves a broken state", "converged": "ends well", "not-fired": "was not struck"}
    return said.get(result.outcome, "could not be judged")


def _contents(about: About, result: TrialResult, has_scenario: bool) -> Iterator[tuple[str, str]]:
    yield STORY, "what init did, what the next ones did and said, what is left, expected against found"
    yield "report.html", "the same as a page, in one file that needs no network"
    yield KERNEL_LOG, "the kernel's log from the machine"
    if has_scenario:
        yield SCENARIO, "the scenario that the trial is of"
    yield about.adapter, f"how the driver is installed and started; what it ships is beside it, in {ADAPTER}/files"
    yield about.guest_file, f"which distribution and kernel the machine has{' (its own)' if about.guest.own else ''}"
    yield "plan.json", "the trial: which fault, at which operation of the init"
    yield TRIAL, "its evidence: operations and events of each init, what it printed, states, kernel log"
    yield "evidence/reference-0.json.gz", "the same of an init without a fault, which it is compared with"
    if kind_of(result.fault).cuts_power:
        yield RECORDING, "what the disks held and were told, from which the state after the power cut is made"
    for image in about.images:
        what = "the driver's root" if image.endswith(".tar.gz") else "a disk of the driver's root"
        yield image, f"{what} after the fault, before the next init"
    yield "run.json, results.jsonl, scenarios.json, bundle.json", "run, result, scenario and versions, for programs"
