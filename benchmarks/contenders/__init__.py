"""What is measured: one script each, run as ``python -m benchmarks.contenders.NAME TASK``.

Each joins the streams that its task names, counts packets in a callback that does nothing else, and
prints one JSON line. They run in virtual environments of their own, so nothing here may import what
a contender does not have.
"""
