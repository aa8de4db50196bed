"""Recipients that somebody else knows: the route, asked through delivery, or the directory."""
