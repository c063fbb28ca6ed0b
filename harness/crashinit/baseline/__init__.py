"""A baseline: the kinds of failure that are known, each with its reason, and a run held against them."""
