"""The systems whose delivery `make bench-outward` measures: each with a queue that is full before the clock runs."""
