"""The command line. Importing this loads nothing; each command loads only what it needs."""


def main() -> int:
    """Runs the console script. Returns its exit code: 0 done, 1 not done, 2 bad usage, 4 timed out, 130
    interrupted.
    """
    import sys

    try:
        from orion.cli.app import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:  # while this was loading
        return 130
