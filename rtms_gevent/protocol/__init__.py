"""Zoom's RTMS protocol without I/O: messages, states, addresses, parameters.

Bytes, messages and the time go in; messages to send, and errors, come out. Nothing here opens a
socket, reads a clock or switches greenlets, so every rule can be tested as a table.
"""
