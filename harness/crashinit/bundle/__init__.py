"""One failure in one archive, to be sent to somebody else and replayed there."""
