"""The consensus core: Raft with no I/O, in the manner of etcd-io/raft.

The caller's contract, kept by node/consensus/driver and pinned by golden traces:

1. Feed inputs with `Raft.step(now_ms, input)`; each changes only memory.
2. Take `Raft.ready()` and, in this order:
   - send `messages` at once (they promise nothing that is not yet on disk);
   - write `snapshot`, `entries` and `hard_state` in one transaction with an fsync (no fsync is needed when
     `must_sync` is false: a commit index alone may be lost, unless it commits a configuration);
   - then send `messages_after_persist`, and step `Persisted` with the batch's `persist_seq`;
   - apply `committed` in order, once each, and answer `reads` whose index is applied.
3. When a configuration entry is applied, step `ConfApplied`; only then does the configuration change.

Batches may be persisted while further inputs are stepped, but in order and one at a time.
"""
