"""Assignment allocations -> containers on this node, and what they do back into the log."""
