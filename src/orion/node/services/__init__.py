"""What api/ and peers may ask of this node, a file a noun."""
