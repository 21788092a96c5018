"""What the demo shop sells: made from words and a seeded random, the same on every machine."""
