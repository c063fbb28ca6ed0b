"""Text that comes from outside, made fit for a terminal."""
