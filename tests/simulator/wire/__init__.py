"""Sockets of clients, and what is said on them."""
