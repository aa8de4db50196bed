"""Load: a client that remembers what it was told of each message, and a sink that counts what arrives."""
