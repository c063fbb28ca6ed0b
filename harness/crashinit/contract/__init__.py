"""The contract: observations in, verdicts out. Pure functions; nothing here knows a machine."""
