"""The replicated state: commands, tables, `apply`, read-only view, snapshot.

**Invariant:** state changes only in `apply`, which is deterministic: the same log gives the same bytes of
snapshot on every node and Python build. No clock, no randomness, no I/O: times and ids come inside commands.
"""
