"""`orion top`: the cluster in a terminal. It speaks through orion.client alone, as everybody does."""
