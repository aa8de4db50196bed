"""What actions answer (PURE): values, apart from how they are found, so that a command elsewhere can read them."""
