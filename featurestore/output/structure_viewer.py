"""A crystal that can be turned in a notebook, without a widget library and without a network."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from featurestore.output.scene import scene
from featurestore.output.structure_picture import MOST_ATOMS, structure_svg

if TYPE_CHECKING:
    from featurestore.crystal import Crystal

_SIDE = 320
# A frame of its own origin: nothing of the notebook can be reached from it, and nothing loaded.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
_STYLE = """
:root{color-scheme:light dark}
body{margin:0;height:100vh;display:flex;flex-direction:column;font:12px system-ui,sans-serif;
background:light-dark(#f4f4f1,#1e2125);color:light-dark(#1d1e20,#e9e7e3)}
canvas{flex:1;min-height:0;width:100%;cursor:grab;touch-action:none;outline-offset:-3px}
p{margin:0;padding:3px 8px}b{display:inline-block;width:9px;height:9px;border-radius:9px;
margin:0 4px 0 8px;border:1px solid #555}
"""


def structure_html(crystal: Crystal) -> str:
    """The structure in three dimensions, turned by dragging, by arrow keys, and sized by + and -.

    It is drawn by a script in a frame that is shut off from the notebook. Where frames are left out
    (as on GitHub), the flat drawing below it is seen. A structure of more than 400 atoms, or
    without a volume, has no more than `structure_svg` gives.
    """
    flat = structure_svg(crystal)
    if not flat or crystal.n_atoms > MOST_ATOMS:
        return flat
    drawn = scene(crystal).values()
    # No text of the structure may end the script.
    data = json.dumps(drawn, separators=(",", ":")).replace("<", "\\u003c")
    named = "".join(
        f"<b style='background:{of['colour']}'></b>{escape(name)} {escape(of['name'])}"
        for name, of in drawn["elements"].items()
    )
    page = (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>Structure</title>"
        f"<meta http-equiv='Content-Security-Policy' "
        f'content="{_POLICY}"><style>{_STYLE}</style><canvas tabindex="0" role="application" '
        'aria-label="Structure: arrow keys turn it, plus and minus zoom"></canvas>'
        f"<p>{named}</p><script>const scene={data};{_script()}</script>"
    )
    return (
        f"<div style='position:relative;width:{_SIDE}px;min-height:{_SIDE}px;max-width:100%'>{flat}"
        f'<iframe sandbox="allow-scripts" title="Structure in three dimensions" '
        f'style="position:absolute;inset:0;width:100%;height:100%;border:0;border-radius:5px" '
        f'srcdoc="{escape(page)}"></iframe></div>'
    )


@cache
def _script() -> str:
    text = files("featurestore.output").joinpath("structure_viewer.js").read_text("utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))
