"""Unit tests of the policy document: a file for each of its tables."""
