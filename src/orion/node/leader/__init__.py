"""What only the leader does, while it leads."""
