"""Processes that examine heavy or odd messages within limits of CPU time and memory, and are killed beyond them."""
