"""The description of the API, without a server."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def openapi(
    yaml: Annotated[bool, typer.Option("--yaml/--json", help="As YAML, or as JSON.")] = False,
) -> None:
    """Print the OpenAPI document of this version."""
    from wagate import bootstrap

    typer.echo(bootstrap.openapi_document(yaml=yaml).rstrip(b"\n"))
