"""Owns the measured mail systems, a file each; what they have in common is `tests.bench.peer.Peer`."""
