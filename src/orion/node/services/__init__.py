"""Answers to what api/ and peers ask of this node, a file a noun."""
