"""Clients of the engines that examine content."""
