"""What the three services and the console have in common: words, wire form, broker, DNS, settings."""
