"""Protocols through which node/ uses the outside. adapters/ fulfil them with the real thing, the simulator with its
own; the contract suites in tests/contract run against both.

Every call that waits can be cancelled. Deadlines are the caller's (`asyncio.timeout`).
"""
