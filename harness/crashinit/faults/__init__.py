"""What strikes an init."""
