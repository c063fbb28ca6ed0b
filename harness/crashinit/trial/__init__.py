"""One trial: the driver in its machine, the recorded init, what stands for what."""
