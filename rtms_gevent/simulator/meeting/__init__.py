"""A simulated meeting: who is in it, what they send, what clients hear of it."""
