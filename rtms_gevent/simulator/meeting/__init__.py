"""A simulated meeting: who is in it, what they send, what is told of it."""
