"""Duties of the leader, while it leads."""
