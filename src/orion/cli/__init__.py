"""The command line. Importing this loads nothing; each command loads only what it needs."""


def main() -> int:
    """The console script. The exit code: 0 as asked, 1 not so, 2 bad usage, 4 timed out, 130 interrupted."""
    import sys

    try:
        from orion.cli.app import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # while this was loading
        return 130
