"""What node/ asks of the outside, as Protocols. adapters/ fulfil them with the real thing, the simulator with
its own; the contract suites in tests/contract run against both.

Every call that can wait takes part in cancellation; a deadline is the caller's (`asyncio.timeout`).
"""
