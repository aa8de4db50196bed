"""The command `gatepost`, a file per group of commands: reads what was typed and prints; `actions` does the work."""
