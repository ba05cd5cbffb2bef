"""The command line. Importing this loads nothing; each command loads only what it needs."""


def main() -> int:
    """The console script. The exit code: 0 done, 1 failed, 2 bad usage."""
    import sys

    from orion.cli.app import run

    return run(sys.argv[1:])
