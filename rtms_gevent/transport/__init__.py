"""Moves bytes: gevent sockets, TLS, proxies and WebSockets. Knows nothing of RTMS.

Everything uses gevent's own modules by name, so it works whether or not the process is
monkey-patched, and nothing here ever blocks the hub.
"""
