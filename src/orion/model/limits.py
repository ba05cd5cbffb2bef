"""Limits of one request."""

from orion.model.resources import MIB

MAX_BODY_BYTES = MIB  # of a request
MIN_MEMORY_BYTES = 6 * MIB  # Docker refuses a limit below it
MIN_CPU = 0.01  # cores; Docker's smallest share
MAX_BYTES = 1 << 60  # more than any machine has; keeps sums of a million tasks in 128 bits
MAX_CPU = 1_000_000
MAX_MOUNTS = 64  # configs in one task
MAX_OWNER = 2**32 - 2  # a user's or a group's number; Linux has the last for none
MAX_PORTS = 64  # in one task
MAX_INGRESS_PORTS = 4_096  # of a cluster
MAX_WORDS = 4_096  # of a command
MAX_VARIABLES = 4_096  # of one task
MAX_SELECTORS = 64  # of one task
MAX_GRACE_S = 3600
MAX_RETRIES = 1_000  # of a health check
MAX_CHECK_S = 86_400  # between two checks, and before they count
MAX_HOOKS = 16  # commands before the end of one task, and after its start
MAX_RESTARTS = 1_000_000
# Linux's MAX_ARG_STRLEN: one argument or one NAME=value, with its final zero byte.
MAX_STRING_BYTES = 131_071
