"""From any node to the one that can answer: commands to the leader, questions to a voter."""
