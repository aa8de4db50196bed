"""`gatepost domain check`: what DNS and the routes say of a domain, judged for a postmaster.

A PURE judge per subject, over the answers of a look-up; examine.py asks DNS, the web and delivery for all of them.
"""
