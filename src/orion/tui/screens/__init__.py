"""Screens over the tables of `orion top`, a file each. What they show is made by pure functions in texts."""
