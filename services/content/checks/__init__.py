"""The checks, a file each: I/O in, a Finding out. docs/adding-a-check.md says how to add one."""
