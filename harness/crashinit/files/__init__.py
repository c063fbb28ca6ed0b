"""Files that people or other programs wrote, read with care; and files written in one step."""
