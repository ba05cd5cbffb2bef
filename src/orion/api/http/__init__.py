"""HTTP itself: connections, bodies, streams, deadlines, refusals."""
