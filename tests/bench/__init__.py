"""Owns `make bench`: Gatepost measured beside its peers on the machine at hand, in one run."""
