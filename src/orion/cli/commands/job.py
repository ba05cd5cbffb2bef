"""`orion job`: job files, without a cluster."""

import click

from orion.cli.app import SETTINGS
from orion.cli.shared.options import command, output


@click.group(context_settings=SETTINGS)
def job() -> None:
    """Check job files; print their schema.

    A job file is TOML, YAML or JSON: one job with its name, or several below jobs.
    """


@job.command("check", context_settings=SETTINGS)
@click.argument("file", nargs=-1, required=True, type=click.Path(allow_dash=True))
@output("text", "json")
def check(file: tuple[str, ...], form: str) -> None:
    """Check job files, without a cluster: all that is wrong, with line and column.

    - is standard input. Names the jobs when nothing is wrong; -o json prints what would be asked for. The exit code
    is 2 where anything is wrong.
    """
    from orion.cli.shared.jobfiles import load_files

    jobs = load_files(file)
    if form == "json":
        from orion.cli.shared.output import print_json

        print_json([each.request for each in jobs])
        return
    for each in jobs:
        click.echo(f"{each.file}: {each.name}")


@command("schema")
def schema() -> None:
    """Print the JSON Schema of job files, for editors and other programs."""
    from orion.cli.shared.output import print_json
    from orion.jobfile.schema import document

    print_json(document())


job.add_command(schema)
