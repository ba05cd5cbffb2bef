"""The process around the node: flags, files, kernel limits, the log; what starts a node and acts on its files."""
