"""Meetings, and how they are played."""
