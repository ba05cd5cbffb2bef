"""Applied state and gossip -> what people and Prometheus are shown. Pure reads."""
