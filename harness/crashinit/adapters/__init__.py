"""How each driver is installed, started, asked for its state."""

from crashinit.adapters.adapter import Adapter, load, names

__all__ = ["Adapter", "load", "names"]
