"""The directory of a run: what it keeps, and who may write there."""
