"""What edge finds out about a client before the greeting: its name, its standing on DNS lists, its country.

facts and questions are PURE; reverse, dns_lists, list_health and country fetch; client puts them together.
"""
