"""What inits begin from: a machine with the driver in it, and what had been done there before."""

from contextlib import ExitStack

from crashinit.adapters import Adapter, requests
from crashinit.adapters.driven import Driven
from crashinit.machine.protocol import Machine, Provider, Template
from crashinit.model.observation import Observation
from crashinit.model.trial import INIT, Setup
from crashinit.trial.made_by import root_made_by


class Given:
    """What a setup's inits begin from: a template, and of a used root what it looked like before it was shut down.

    `before` is of the machine that was made last: where each machine is booted, each has a used root of its own.
    """

    def __init__(self, template: Template) -> None:
        self.template = template
        self.before: Observation | None = None

    def clone(self, *, forkable: bool = False, seed: int | None = None) -> Machine:
        """A machine in which an init can begin; the kernel's log counts from now on."""
        machine = self.template.clone(forkable=forkable, seed=seed)
        try:
            machine.call("mark")
        except BaseException:
            machine.close()
            raise
        return machine


def prepared(setup: Setup, adapter: Adapter, provider: Provider, driver: Template, stack: ExitStack) -> Given:
    """What a setup begins from, made in a machine with the driver in it; the stack ends what is made for it."""
    found = Given(driver)
    if not setup.used and setup.during == INIT and not setup.on_a_disk:
        return found
    if setup.during != INIT:
        requests.words_of(adapter, setup.during)
    made = root_made_by(setup, adapter, provider) if setup.made_elsewhere else None

    def prepare(machine: Machine) -> None:
        driven = Driven(machine, adapter, setup.plain)
        if driven.disk:
            driven.disk.make()
        if made:
            made.into(machine, adapter.root)
            found.before = made.before
        elif setup.used:
            found.before = driven.used_root()
        if setup.during != INIT:
            machine.call("mark")  # who comes from here on is the driver's
            requests.bring_up(driven)

    found.template = stack.enter_context(found.template.derive(prepare))
    return found
