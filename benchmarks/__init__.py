"""Measurements of this package beside others; see docs/performance.md.

The commands are ``python -m benchmarks compare``, ``scale``, ``charts`` and ``profile``. Every
measurement is made of two processes: a load generator (:mod:`benchmarks.load`) and a contender
(:mod:`benchmarks.contenders`). What both of them read is in :mod:`benchmarks.workload`.
"""
