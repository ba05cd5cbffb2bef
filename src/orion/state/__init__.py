"""The replicated state: commands, tables, `apply`, read-only view, snapshot.

**Invariant:** state changes only in `apply`, which is deterministic: the same log gives the same bytes of
snapshot on every node and Python build. No clock, no randomness, no I/O: times and ids come inside commands.

From the ground up: `records` (what tables hold), `slots` and `view` (reading), `tables` (the State), `mutations`
(how tables and indexes change together), `apply_*` and `apply` (one function for each command), `frames`,
`snapshot` and `restore` (as bytes, and back), `check` (is it sound, for tests).
"""
