"""Requests between nodes: what they ask, what is answered, and how much of it a peer may ask for."""
