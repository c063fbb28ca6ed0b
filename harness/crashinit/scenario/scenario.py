"""The scenario model: YAML in, validated objects out.

A scenario says where a driver is to be struck, and how. It names no operation numbers: those come from the
driver's own trace, in the plan.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from crashinit import families
from crashinit.errors import UsageError
from crashinit.files import refused, textfile, yamlfile
from crashinit.model.fault import ACTOR, ACTORS, OTHER_OWNER, POWER_CUT, SECOND_INIT, kind_of
from crashinit.model.trial import ON_THE_MACHINES_DISK
from crashinit.scenario.errnos import ERRNOS, Errno
from crashinit.scenario.expected import Failure, Report

ALL = "all"  # instead of a step: every boundary of the init
Phase = Literal["before", "during", "after"]
Victim = Literal["process", "tree"]
Given = Literal[
    "fresh", "populated", "ext4", "xfs", "block", "ext4-populated", "xfs-populated", "block-populated"
]  # the first two for faults that strike the driver, the others for power cuts (powercut/layout.py)
Recovery = Literal["init", "reboot"]
PART_OF_A_NAME = re.compile(r"[^ .-].*")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

NAME_LIMIT = 100  # characters of a scenario's name, with which the trials' ids and their files' names begin
SPELT = 40  # characters of a value that a message repeats as it is written
DEFAULT_POWER_CUT_ROOT = "ext4"  # the disk of a root when the power is cut, unless a scenario says otherwise


class Scenario(BaseModel):
    """One scenario file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    title: str = Field(max_length=1000, description="One sentence: what is done to the driver.")
    name: str = Field(
        default="",
        description=f"Begins the trials' ids; by default folder and file name. At most {NAME_LIMIT} characters.",
    )
    given: Given = Field(
        default="fresh",
        description="The root before the faulted init: 'fresh' (empty), or 'populated' "
        "(initialised earlier, a device with known data in it, then shut down). Of a power cut: the disks that it lies "
        "on, 'ext4' (default), 'xfs' or 'block', with '-populated' for a used root.",
    )
    at_on: dict[str, tuple[str, ...]] = Field(
        default={},
        description="By driver the operations to strike there instead of 'at': drivers differ in their keys.",
    )
    fault: Literal["kill", "term", "int", "supervisor", "child", "stop", "hang", "actor", "errno", "power-cut"] = Field(
        default="kill",
        description="What is done at the boundary: 'kill' (SIGKILL), 'term' and 'int' (SIGTERM, SIGINT, which a driver "
        "may catch), 'supervisor' (SIGTERM, and SIGKILL after 'seconds'), 'child' (SIGKILL of the one process that is "
        "about to act, if that is not the driver itself), 'stop' (SIGSTOP for 'seconds'), 'hang' (the operation does "
        "not return), 'errno' (it fails with an error), 'actor' (nothing but what 'actor' does), or 'power-cut'.",
    )
    actor: str = Field(
        default="",
        max_length=1000,
        description="Who else comes at the boundary, before the fault strikes: 'holder' (opens every device), 'reader' "
        "(reads them), 'mount' (mounts what there is, out of sight), 'second-init', 'other-owner' (makes devices of "
        "its own), or a command for the machine's shell.",
    )
    release: Literal["before", "during", "after", "never"] = Field(
        default="after", description="When the actor lets go: 'before', 'during' or 'after' the re-init, or 'never'."
    )
    step: str | None = Field(
        default=None, description="The step to strike, 'all' for every boundary of the init; or give 'at'."
    )
    steps: tuple[str, ...] = Field(default=(), description="With 'step: all', only boundaries in these steps.")
    phases: tuple[Phase, ...] = Field(
        default=("before", "during", "after"),
        description="'before' the step's first operation, 'during' it (before each further one), 'after' its last.",
    )
    at: tuple[str, ...] = Field(
        default=(), description="Operations to strike before, by key as `crashinit trace` prints it, instead of a step."
    )
    victims: tuple[Victim, ...] = Field(
        default=("process", "tree"),
        description="'process': the driver alone, its children live on; 'tree': its whole cgroup at once.",
    )
    errnos: tuple[Errno, ...] = Field(
        default=ERRNOS, description="With 'fault: errno', the errors; each only where the operation may return it."
    )
    representative: bool = Field(
        default=False,
        strict=True,
        description="Of operations in a row that ask the same of the same object (block writes of a mkfs), strike "
        "only the first, the middle and the last.",
    )
    recovery: Recovery = Field(
        default="init", description="What follows the fault: 'init' again at once, or a 'reboot' and then init."
    )
    udev: Literal["default", "settled", "late", "lost", "stopped"] = Field(
        default="default",
        description="When udevd deals with its events, from the boundary on: as it does ('default'), before each "
        "further operation ('settled'), a second after the next init began ('late'), all but the one that the "
        "operation makes ('lost'), or not before all inits have ended ('stopped').",
    )
    options: tuple[str, ...] = Field(default=(), description="Storage options beyond the adapter's own.")
    deadline: float = Field(
        default=60.0, gt=0, le=3600, strict=True, allow_inf_nan=False, description="Seconds that one init may take."
    )
    seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        strict=True,
        allow_inf_nan=False,
        description="With 'fault: supervisor', from SIGTERM to SIGKILL; with 'fault: stop', how long.",
    )
    restarts: int = Field(
        default=3, ge=1, le=10, strict=True, description="How many re-inits are tried before giving up."
    )

    report: Report | None = Field(default=None, description="The failure that this models, as somebody reported it.")
    expect: dict[str, Failure | Literal["converged"]] = Field(
        default={},
        description="By driver what is expected: 'converged', or which clauses fail and what their reasons say. A run "
        "fails where that is not met.",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_characters(cls, data: Any) -> Any:
        for key, value in data.items() if isinstance(data, dict) else ():
            for text in (value, *value) if isinstance(value, list | tuple) else (value,):
                if isinstance(text, str) and (bad := CONTROL.search(text)):
                    raise ValueError(f"'{key}' holds the control character {bad[0]!r}, which nothing here may hold")
        return data

    @field_validator("name")
    @classmethod
    def _begins_ids(cls, name: str) -> str:
        if len(name) > NAME_LIMIT:
            raise ValueError(f"'name' has {len(name)} characters, and at most {NAME_LIMIT} are allowed")
        if name and not (name.isprintable() and all(PART_OF_A_NAME.fullmatch(part) for part in name.split("/"))):
            raise ValueError(
                f"'name' is '{name}': it is made of printable characters, and neither it nor what follows a '/' in it "
                "may be empty or begin with a dot, a dash or a blank"
            )
        return name

    @field_validator("step", "steps")
    @classmethod
    def _are_steps(cls, value: str | tuple[str, ...] | None, info: ValidationInfo) -> str | tuple[str, ...] | None:
        known = families.steps()
        for step in (value,) if isinstance(value, str) else value or ():
            if step not in known and not (step == ALL and info.field_name == "step"):
                may = (*known, ALL) if info.field_name == "step" else known
                raise ValueError(
                    f"'{info.field_name}' is {refused.shown(step)}, but may only be {', '.join(map(repr, may))}"
                )
        return value

    @field_validator("steps", "phases", "at", "victims", "errnos")
    @classmethod
    def _once_each(cls, values: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if twice := next((value for value in values if values.count(value) > 1), None):
            raise ValueError(f"'{info.field_name}' names '{twice}' twice")
        return values

    @model_validator(mode="before")
    @classmethod
    def _disks_of_a_power_cut(cls, data: Any) -> Any:
        if isinstance(data, dict) and kind_of(str(data.get("fault"))).cuts_power:
            return {"given": DEFAULT_POWER_CUT_ROOT, **data}
        return data

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.at) == bool(self.step):
            raise ValueError("give either 'step' or 'at'")
        if self.at_on and not self.at:
            raise ValueError("'at_on' says what is struck instead of 'at', and there is no 'at'")
        if unknown := self.at_on.keys() - self.expect.keys():
            raise ValueError(f"'at_on' names '{sorted(unknown)[0]}', of which nothing is expected in 'expect'")
        if self.steps and self.step != "all":
            raise ValueError("'steps' narrows 'step: all', and goes with nothing else")
        kind = kind_of(self.fault)
        if self.fault == ACTOR.name and not self.actor:
            raise ValueError("'fault: actor' needs an 'actor': who comes")
        if self.actor and self.actor not in ACTORS and not set(self.actor) & set(" /"):
            raise ValueError(
                f"'actor' is '{self.actor}', but may only be {', '.join(map(repr, ACTORS))}, or a command: a path, or "
                "more than one word"
            )
        if "release" in self.model_fields_set and not self.actor:
            raise ValueError("'release' says when an actor lets go, and there is no 'actor'")
        if self.actor == SECOND_INIT and "release" in self.model_fields_set:
            raise ValueError(f"'{SECOND_INIT}' holds nothing that 'release' could speak of: it ends by itself")
        if self.actor == OTHER_OWNER and self.release == "never":
            raise ValueError(f"'{OTHER_OWNER}' has to let go once, to tell what it lost: 'release' may not be 'never'")
        if self.recovery == "reboot" and self.actor:
            raise ValueError("a reboot ends every actor: 'actor' goes with 'recovery: init'")
        if self.recovery == "reboot" and self.udev != "default":
            raise ValueError("a reboot starts udevd anew: 'udev' goes with 'recovery: init'")
        for key in self.model_fields_set & kind.refuses.keys():
            raise ValueError(kind.refuses[key])
        if kind.cuts_power and self.given in ON_THE_MACHINES_DISK:
            raise ValueError(
                f"a power cut needs 'given: {DEFAULT_POWER_CUT_ROOT}', or other disks that the root lies on"
            )
        if not kind.cuts_power and self.given not in ON_THE_MACHINES_DISK:
            raise ValueError(f"'given: {self.given}' names disks, which only 'fault: {POWER_CUT.name}' needs")
        return self

    def on(self, driver: str) -> "Scenario":
        """The scenario as it is for this driver."""
        return self.model_copy(update={"at": self.at_on[driver]}) if driver in self.at_on else self

    def concerns(self, driver: str) -> bool:
        """Whether it is run on this driver: one that says what it expects of drivers is for these."""
        return not self.expect or driver in self.expect


SCENARIOS = Path("scenarios")


def shipped() -> Path:
    """The directory of the scenarios that come along: in the package, or at the top of a checkout."""
    inside = Path(__file__).parents[1] / SCENARIOS
    return inside if inside.is_dir() else Path(__file__).parents[3] / SCENARIOS


def located(path: Path) -> Path:
    """Where a path leads: `scenarios/...` that is not in the working directory is one of those that come along."""
    if path.parts[:1] == SCENARIOS.parts and not path.exists():
        own = shipped().joinpath(*path.parts[1:])
        return own if own.exists() else path
    return path


def find(paths: Sequence[Path]) -> list[Scenario]:
    """The scenarios in these files and below these directories, in a stable order.

    Raises UsageError for a path that does not exist, holds no scenario, or a file that is not a valid scenario.
    """
    scenarios: list[Scenario] = []
    for path in map(located, paths):
        files = list(_files(path))
        if not files:
            raise UsageError(f"'{path}' holds no scenario: name a .yaml file, or a directory with such files in it.")
        scenarios += [load(file) for file in files]
    seen: set[str] = set()
    for scenario in scenarios:
        if scenario.name in seen:
            raise UsageError(f"two scenarios are named '{scenario.name}': set 'name' in one of them.")
        seen.add(scenario.name)
    return scenarios


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*.yaml") if not file.is_dir())
    elif path.exists():
        yield path
    else:
        raise UsageError(f"'{path}' does not exist.")


def load(path: Path) -> Scenario:
    """Read one scenario file; UsageError names the file, the line and what is allowed there."""
    if path.suffix == ".py":
        raise UsageError(f"{path}: a scenario in Python is run by pytest: 'pytest {path} --crashinit-driver D'.")
    try:
        node, data = yamlfile.read(textfile.read(path, "a scenario"))
    except yamlfile.YamlError as error:
        raise UsageError(f"{path}:{error.line}: not valid YAML: {error}.") from error
    if not isinstance(node, yaml.MappingNode) or not isinstance(data, dict):
        raise UsageError(f"{path}:1: a scenario is a mapping of keys such as 'title' and 'step'.")
    _refuse_duplicates(path, node)
    own_name = "name" in data
    data.setdefault("name", f"{path.resolve().parent.name}/{path.stem}")
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        fault = refused.first(error)
        line, written = _place(node, fault["loc"])
        said = refused.sentence(fault, Scenario, written)
        if said.startswith("'name'") and not own_name:
            said = f"{said.rstrip('.')}; this one is the file's path: rename the file, or set 'name' in it."
        raise UsageError(f"{path}:{line}: {said}") from error


def from_options(data: dict[str, Any], options: Mapping[str, str]) -> Scenario:
    """A scenario from a command's options (their names by key); UsageError names the option and what it may be."""
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        said = refused.sentence(refused.first(error), Scenario)
        for key, option in options.items():
            said = said.replace(f"'{key}'", f"'{option}'").replace(f"'{key}: ", f"'{option} ")
        raise UsageError(said) from error


def _refuse_duplicates(path: Path, node: yaml.MappingNode) -> None:
    """Raise UsageError for a key that stands twice: YAML would take the last one without a word."""
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.value in lines:
            raise UsageError(f"{path}:{line}: the key '{key.value}' stands in line {lines[key.value]} already.")
        lines[key.value] = line


def _place(node: yaml.MappingNode, location: tuple[int | str, ...]) -> tuple[int, str]:
    """The 1-based line of the key or item that a validation error is about, and how it is spelt if that is short.

    A text is not: it needs its quotes.
    """
    here: yaml.Node = node
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(here, yaml.MappingNode):
            found = next(((key, value) for key, value in here.value if key.value == part), None)
            if found is None:
                break
            line, here = found[0].start_mark.line + 1, found[1]
        elif isinstance(here, yaml.SequenceNode) and isinstance(part, int):
            here = here.value[part]
            line = here.start_mark.line + 1
    is_spelt = isinstance(here, yaml.ScalarNode) and not here.tag.endswith(":str") and len(here.value) < SPELT
    return line, here.value if is_spelt else ""
