"""A whole run: planned, spread over workers, tried again, judged."""
