"""The load generator: a process of its own, as lean as Python allows.

It shakes hands like Zoom's servers (:mod:`.acceptor`), then sends frames that were made beforehand
(:mod:`.frames`): as many as the contender takes, or so many a second (:mod:`.players`).
"""
