"""This machine's database: its schema, its backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wagate.cli.options import DataDir, Json, Yes, run, settings
from wagate.cli.terminal import confirm, note, tell, working

app = typer.Typer(name="db", no_args_is_help=True, help="The database: its schema, its backups.")


@app.command()
def upgrade(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Bring the schema up to date. `wagate serve` does it by itself; this does it beforehand."""
    from wagate import bootstrap

    changed = run(bootstrap.database_upgrade(settings(data_dir=data_dir)))
    said = "The schema is up to date now." if changed else "The schema was up to date already."
    tell({"changed": changed}, as_json=as_json, people=lambda: typer.echo(said))


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The file to write; an existing one is replaced once it is whole.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Copy the whole database into a file while the gateway runs. The copy is as secret as the database.

    The keys of the WhatsApp sessions that are linked on this machine go into a second file, TARGET.keys: whoever has
    it is these accounts. Media files are in neither: copy the folder `blobs` of the data directory afterwards.
    """
    from wagate import bootstrap

    with working("copying the database"):
        keys = run(bootstrap.database_backup(settings(data_dir=data_dir), target))
    size, beside = target.stat().st_size, bootstrap.keys_beside(target)
    said = f"{target} holds the database, {size / 2**20:.1f} MiB."
    if keys:
        said += f" {beside} holds the keys of {keys} WhatsApp sessions."
    tell(
        {"file": str(target), "bytes": size, "keys": {"file": str(beside) if keys else None, "sessions": keys}},
        as_json=as_json,
        people=lambda: typer.echo(said),
    )


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A file that `wagate db backup` wrote.")],
    yes: Yes = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put a backup in the database's place; the gateway must not run. What was written since is gone.

    With SOURCE.keys beside it, WhatsApp sessions without keys on this machine have theirs back; keys that are there
    stay. Put the folder `blobs` back beside it: a message whose media file is missing answers that it is gone.
    """
    from wagate import bootstrap

    chosen = settings(data_dir=data_dir)
    if not yes:
        confirm("Everything that was written since the backup will be gone.")
    with working("putting the backup back"):
        back, kept = run(bootstrap.database_restore(chosen, source))
    if not as_json and not chosen.secret_key and not chosen.secret_key_file.exists():
        note(f"{chosen.secret_key_file} is missing: secrets that the backup holds can be read with the old key only.")
    if not as_json and back:
        note(f"The keys of {len(back)} WhatsApp sessions are as old as the backup; the guide says what that means.")
    tell(
        {"file": str(source), "restored": True, "keys": {"back": back, "kept": kept}},
        as_json=as_json,
        people=lambda: typer.echo(f"The database is as {source} holds it."),
    )
