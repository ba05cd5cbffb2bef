"""Who is there: gossip and peer ports heard together, and what this node believes of it."""
