"""Breaking a running gateway, and asserting that it loses nothing and repairs itself."""
