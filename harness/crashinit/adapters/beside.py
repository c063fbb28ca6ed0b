"""Who is beside the driver in a trial: what came at the boundary, what it got, and when it lets go."""

from crashinit.adapters.driven import GRACE, Driven
from crashinit.model.fault import ACTORS, HOLDERS, OTHER_OWNER, SECOND_INIT
from crashinit.model.observation import Actor, DmDevice, Observation, Run

DURING = 1.0  # seconds after the re-init begins that one lets go which is to do so in the midst of it
SECOND_PATIENCE = 5.0  # seconds that a second init gets to end while the first is held; later it waits for the first


class Beside:
    """One actor, from the boundary to the end of the trial."""

    def __init__(self, driven: Driven, name: str, release: str) -> None:
        self._driven = driven
        self._name = name
        self._release = release
        self._got: list[str] = []
        self._lost: list[str] = []
        self._second = ""  # the gate of a second init
        self._is_here = True
        self._is_going = False

    def come(self) -> None:
        """Take what there is, while the init is held."""
        if self._name == SECOND_INIT:
            self._second = self._driven.begin_second_init(SECOND_PATIENCE)["gate"]
            self._got = [SECOND_INIT]
            return
        kind, command = (self._name, "") if self._name in ACTORS else ("command", self._name)
        answer = self._driven.machine.call("actor_begin", timeout=2 * GRACE, kind=kind, command=command)
        self._got = list(answer["got"])
        if not self._got:
            self._is_here = False

    def second_run(self) -> Run | None:
        """The second init, if that is the actor, once the first has gone on."""
        if not self._second:
            return None
        self._driven.machine.call("gate_wait", timeout=self._driven.setup.deadline + GRACE, gate=self._second)
        self._is_here = False
        return self._driven.finish(self._second)

    def let_go(self, moment: str) -> bool:
        """Let go if this is the moment for it; whether it has gone."""
        if self._is_here and moment == self._release:
            self._driven.machine.call("actor_release", delay=DURING if moment == "during" else 0.0)
            self._is_going = True
        if self._is_here and self._is_going and moment != "during":
            self._is_here = False
            self._lost = list(self._driven.machine.call("actor_end", timeout=2 * GRACE)["lost"])
        return not self._is_here

    def apart(self, observation: Observation) -> Observation:
        """The observation without what this one has made: that is not the driver's."""
        if not self._is_here:
            return observation
        if self._name in HOLDERS:
            opened = [self._less_opened(one) for one in observation.dm]
            return observation.model_copy(update={"dm": opened})
        if self._name != OTHER_OWNER:
            return observation
        own = {*self._got, *(one.device for one in observation.dm if one.name in self._got)}
        return observation.model_copy(
            update={
                "dm": [one for one in observation.dm if one.name not in own],
                "loops": [one for one in observation.loops if one.name not in own],
                "mapper_nodes": [name for name in observation.mapper_nodes if name not in own],
                "blocks": [one for one in observation.blocks if not {one.name, one.device} & own],
            }
        )

    def _less_opened(self, device: DmDevice) -> DmDevice:
        """As often open as it is without us."""
        own = 1 if device.name in self._got else 0
        return device.model_copy(update={"open_count": max(0, device.open_count - own)})

    @property
    def record(self) -> Actor:
        """What the evidence keeps of it."""
        return Actor(name=self._name, release=self._release, got=self._got, lost=self._lost)
