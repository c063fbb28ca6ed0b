"""How each driver is installed, started, asked for its state."""

from crashinit.adapters.adapter import Adapter
from crashinit.adapters.inherited import changed, names
from crashinit.adapters.load import load

__all__ = ["Adapter", "changed", "load", "names"]
