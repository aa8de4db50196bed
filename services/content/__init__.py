"""The content stage: examines each message and decides what becomes of it."""
