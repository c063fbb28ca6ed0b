"""What runs inside the machine: agent, gate, probe. Imports nothing of the rest of the harness."""
