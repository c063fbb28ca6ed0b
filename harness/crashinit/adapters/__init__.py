"""How each driver is installed, started, asked for its state."""

from crashinit.adapters.adapter import Adapter
from crashinit.adapters.load import load, names

__all__ = ["Adapter", "load", "names"]
