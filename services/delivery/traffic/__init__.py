"""How much goes to a hop, and when what cannot go comes by again."""
