"""Hooks around an allocation's container, a file each; hook.py says when each of them is called."""
