"""Hubs, threads, greenlets and forks: where code runs. Opens no socket, knows nothing of RTMS."""
