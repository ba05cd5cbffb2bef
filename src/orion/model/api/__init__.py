"""The JSON of the HTTP API as typed values: what it takes, what it gives, and how a task's spec is told in it."""
