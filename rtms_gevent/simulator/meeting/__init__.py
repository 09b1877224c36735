"""A simulated meeting: who is in it, what they send, and what clients get of it."""
