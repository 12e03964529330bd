"""``featurestore config``: what is set, and where."""

from __future__ import annotations

import click

from featurestore.cli.options import CONTEXT, format_option


@click.group(context_settings=CONTEXT)
def config() -> None:
    """Say what is set by featurestore.toml and the environment.

    Options of a command win over the environment, and the environment over the file: the one that
    FEATURESTORE_CONFIG names, else featurestore.toml in the working folder or the nearest above.
    """


@config.command(context_settings=CONTEXT)
@format_option
def show(output_format: str) -> None:
    """List every key with its value and where that came from.

    \b
    Example:
      featurestore config show --format json
    """
    import pyarrow as pa

    from featurestore.configuration.keys import ALIASES, KEYS
    from featurestore.configuration.reading import read_configuration
    from featurestore.output.rows import print_table

    found = read_configuration()
    rows: list[dict[str, object]] = []
    for name, key in KEYS.items():
        value = found.values.get(name)
        said = found.get(name) if value else key.default
        rows.append(
            {
                "key": name,
                "value": ", ".join(said) if isinstance(said, list) else str(said),
                "from": value.origin if value else "default",
                "variable": key.variable,
            }
        )
        if output_format != "table":
            rows[-1] |= {"set": value is not None, "what": key.what}
    for name, words in found.aliases.items():
        rows.append(
            {"key": f"{ALIASES}.{name}", "value": words, "from": str(found.path), "variable": ""}
        )
        if output_format != "table":
            what = f"'featurestore {name}' is 'featurestore {words}'"
            rows[-1] |= {"set": True, "what": what}
    print_table(pa.Table.from_pylist(rows), output_format)
