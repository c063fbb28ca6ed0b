"""The faults, side by side: each says how it is planned, how it strikes, and when two of them are one.

A power cut strikes disks and not a held init, so it has a folder of its own; what all faults have in common, and what a
clause or a report has to know of them, is in model/fault.py.
"""

from collections.abc import Mapping

from crashinit.faults.actor import Nothing, SomebodyElse
from crashinit.faults.disk import ON_A_DISK
from crashinit.faults.errno import FailedCall
from crashinit.faults.fault import Acting, Fault, Way
from crashinit.faults.hang import Hanging
from crashinit.faults.kill import Kill
from crashinit.faults.signals import SIGNALS, ChildKilled

FAULTS: Mapping[str, Fault] = {
    fault.kind.name: fault
    for fault in (Kill(), FailedCall(), *SIGNALS, ChildKilled(), Hanging(), SomebodyElse(), Nothing(), *ON_A_DISK)
}

__all__ = ["FAULTS", "Acting", "Fault", "Way"]
