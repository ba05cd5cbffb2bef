"""Bytes between nodes and bytes on disk: frames, envelopes and log records. Every byte that comes in is
length-checked and typed here; commands and snapshots pass through as opaque bytes.
"""
