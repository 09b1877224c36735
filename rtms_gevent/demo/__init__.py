"""The demonstration: a simulated meeting, an app that joins it, and its live page."""
