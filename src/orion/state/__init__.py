"""The replicated state: commands, tables, `apply`, read-only view, snapshot.

**Invariant:** state changes only in `apply`, which is deterministic: the same log gives the same bytes of
snapshot on every node and Python build. No clock, no randomness, no I/O: times and ids come inside commands.

From the ground up: `core` (what a table and a command are), `records`, `slots`, `view` and `mutations` (nodes, jobs
and allocations, made for a million), `gate` (the cluster's level), `tables` (the nouns, a file each, and the State
made of their tables). `commands`, `sound`, `apply`, `snapshot`, `restore`, `incremental_free` and `check` follow
from what the nouns declare.
"""
