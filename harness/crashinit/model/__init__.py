"""The words of all rooms as data: operations, observations, trials, events. Imports nothing of the others."""
