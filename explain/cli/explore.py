"""``featurestore explore``: a store in a browser."""

from __future__ import annotations

from importlib.util import find_spec

import click

from featurestore.cli.options import CONTEXT, at_option
from featurestore.errors import MissingDataError

_PACKAGES = {"starlette": "starlette", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


@click.command(context_settings=CONTEXT)
@click.argument(
    "store_uri", metavar="[STORE]", default="materials-store", envvar="FEATURESTORE_URI"
)
@at_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. For any but this machine's own a token is demanded.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="Port; 0 takes any that is free.",
)
@click.option(
    "--token",
    envvar="FEATURESTORE_EXPLORE_TOKEN",
    show_envvar=True,
    help="What every request must carry; 'new' makes one. It is in the address that is printed.",
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="A further name by which browsers may call the server (may be repeated).",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.5),
    default=20.0,
    show_default=True,
    help="Time that one answer, such as that of a query, may take.",
)
def explore(
    store_uri: str,
    at: str | None,
    host: str,
    port: int,
    token: str | None,
    names: tuple[str, ...],
    opens: bool,
    seconds: float,
) -> None:
    """Show the store STORE in a browser: find, look, map, compare models, try a file, ask in SQL.

    The store is only read. Without STORE it is the folder materials-store, or $FEATURESTORE_URI.
    The server runs until Ctrl-C.

    \b
    Example:
      featurestore explore demo-store
      featurestore explore s3://lab/store --at paper --host 0.0.0.0
    """
    missing = [package for name, package in _PACKAGES.items() if find_spec(name) is None]
    if missing:
        raise MissingDataError(
            f"the pages need packages that are not installed ({', '.join(missing)}): "
            "pip install 'materials-featurestore[explore]'"
        )
    from explain.explore.serving import serve

    serve(
        store_uri,
        at=at,
        host=host,
        port=port,
        token=token,
        names=names,
        seconds=seconds,
        opens=opens,
        say=click.echo,
    )
