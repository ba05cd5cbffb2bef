"""Membership: which nodes are there, from gossip and peer ports together."""
