"""Runs a notebook's cells in this process, without Jupyter: what they print and end with.

Stored outputs are refreshed in a folder in which ``featurestore demo`` has run, by:

    python tests/notebooks.py docs/notebooks/1_own_structures.ipynb
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FACES = (("image/png", "_repr_png_"), ("text/html", "_repr_html_"))


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells that are run, in order."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def run_cells(notebook: dict[str, Any], name: str) -> Iterator[list[dict[str, Any]]]:
    """The outputs of each code cell, as notebooks store them."""
    names: dict[str, Any] = {"__name__": name}
    for number, cell in enumerate(code_cells(notebook), 1):
        yield _outputs("".join(cell["source"]), names, f"{name}[{number}]", number)


def kinds(outputs: list[dict[str, Any]]) -> list[list[str]]:
    """What outputs are, without what they say."""
    return [[one["output_type"], *sorted(one.get("data", ()))] for one in outputs]


def _outputs(source: str, names: dict[str, Any], where: str, number: int) -> list[dict[str, Any]]:
    body = ast.parse(source, where).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), where, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), where, "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        outputs.append(
            {
                "output_type": "execute_result",
                "execution_count": number,
                "metadata": {},
                "data": _data(value),
            }
        )
    return outputs


def _data(value: Any) -> dict[str, Any]:
    found = {"text/plain": repr(value).splitlines(keepends=True)}
    for kind, method in _FACES:
        if hasattr(value, method) and (data := getattr(value, method)()) is not None:
            is_text = isinstance(data, str)
            found[kind] = data.splitlines(keepends=True) if is_text else b64encode(data).decode()
    return found


def _refresh(path: Path) -> None:
    notebook = json.loads(path.read_text("utf-8"))
    outputs = list(run_cells(notebook, path.name))
    for number, (cell, found) in enumerate(zip(code_cells(notebook), outputs, strict=True), 1):
        cell["outputs"], cell["execution_count"] = found, number
    path.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        _refresh(Path(argument))
