"""Delivers what the hub reads to the user's functions: queues, runners, calls."""
