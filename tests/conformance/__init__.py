"""Autobahn|Testsuite, the industry's conformance suite for WebSockets, against our transport.

Its fuzzing server (Python 2.7) plays some 300 good and bad servers; a client that echoes stands in
for us. From the checkout::

    python -m tests.conformance

which installs the suite into ``.tox/autobahn`` where ``RTMS_AUTOBAHN`` names no ``wstest``.
"""
