"""Where a bug ends: what this process may go on from once it has met it in one place."""

# What data that nobody foresaw comes to. Not AssertionError, which says that this process can't be trusted, and not
# LogFailed or what else has been given a meaning of its own.
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
