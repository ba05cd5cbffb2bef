"""A node's own beginning and end, and which cluster it belongs to."""
