"""The runners around the consensus core: persist, send, apply, in that order; snapshots; what was applied."""
