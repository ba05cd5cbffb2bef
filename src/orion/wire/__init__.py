"""Bytes between nodes and bytes on disk: frames, envelopes and log records; and messages of DNS. Every byte that
comes in is checked for length and type here. Commands and snapshots pass through as opaque bytes.
"""
