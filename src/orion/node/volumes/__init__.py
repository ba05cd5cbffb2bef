"""Volumes of plugins on this node: which plugins there are, and the way of each volume in and out."""
