"""Reports of quarantine to the users of our domains: what is held for each, and links by which they get their own."""
