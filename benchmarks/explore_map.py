"""The map of the pages with many points, in headless Chromium: what a frame costs.

python -m benchmarks.explore_map demo-store

Without a graphics card the points are drawn by the processor (SwiftShader), so that frames per
second say little of a machine that has one; the time of our own code per frame says how much of the
16.7 ms of a frame at 60 Hz is left for the card.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

from benchmarks.explore_latency import served

_FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")

# Clusters and a few points far away, as spaces of embeddings have them.
_MAKE = """async (n) => {
  const { Scatter } = await import("/static/scatter.js");
  let seed = 1;
  window.draw = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const gauss = () => Math.sqrt(-2 * Math.log(draw())) * Math.cos(6.2832 * draw());
  const [x, y, bytes] = [new Float32Array(n), new Float32Array(n), new Uint8Array(4 * n)];
  for (let i = 0; i < n; i++) {
    const far = draw() < 1e-4 ? 40 : 1;
    x[i] = far * (gauss() + 4 * (i % 5));
    y[i] = far * (gauss() + 3 * (i % 3));
    bytes.set([80 * (i % 3), 120, 255 - 50 * (i % 5), 150], 4 * i);
  }
  const box = document.querySelector("#plot");
  const limits = [[-4, 20], [-4, 10]];
  window.plot = new Scatter(box, { x, y, bytes, limits, names: ["x", "y"] });
  const gl = plot.gl;
  const debug = gl && gl.getExtension("WEBGL_debug_renderer_info");
  const name = debug ? debug.UNMASKED_RENDERER_WEBGL : gl && gl.RENDERER;
  return [gl ? gl.getParameter(name) : "no WebGL", box.clientWidth, box.clientHeight];
}"""
_PAN = """async (seconds) => {
  let frames = 0;
  const begun = performance.now();
  while (performance.now() - begun < 1000 * seconds) {
    await new Promise(requestAnimationFrame);
    plot.move(frames % 60 < 30 ? 4 : -4, frames % 60 < 30 ? 2 : -2);
    frames++;
  }
  return [frames, performance.now() - begun];
}"""
# The same that a frame does, and as often as it takes to be measured.
_OWN = "(n) => { for (let i = 0; i < n; i++) plot.drawNow(); }"
_HOVER = """(n) => {
  plot.reset();
  const { across, down } = plot.frame();
  for (let i = 0; i < n; i++) plot.nearest(60 + draw() * across, 20 + draw() * down);
}"""
_LASSO = """([n, r]) => {
  const corner = (i) => [8 + r * Math.cos(i / 9.55), 3 + 0.6 * r * Math.sin(i / 9.55)];
  const ring = Array.from({ length: 60 }, (_, i) => corner(i));
  let found = 0;
  for (let i = 0; i < n; i++) found = plot.inside(ring).length;
  return found;
}"""


def processor_time(session: Any) -> float:
    """Seconds that the page's main thread has computed: what else the machine does is not in it."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))


def took(page: Any, session: Any, code: str, n: int, given: Any = None) -> tuple[Any, float]:
    """What a piece of code gives, and its milliseconds of the processor for each of ``n`` times."""
    before = processor_time(session)
    found = page.evaluate(code, n if given is None else [n, given])
    return found, 1e3 * (processor_time(session) - before) / n


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.option("--points", default="10000,100000,1000000", show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="Of panning.")
def main(store: Path, points: str, seconds: float) -> None:
    """Draw made-up points on the map page of STORE, and print what panning and pointing cost."""
    from playwright.sync_api import sync_playwright

    with served(store) as (_, host, port), sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(_FLAGS)
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for n in map(int, points.split(",")):
            page.goto(f"http://{host}:{port}/map", wait_until="networkidle", timeout=120_000)
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            renderer, width, height = page.evaluate(_MAKE, n)
            frames, wall = page.evaluate(_PAN, seconds)
            _, own = took(page, session, _OWN, 30)
            _, hover = took(page, session, _HOVER, 1000)
            few, small = took(page, session, _LASSO, 10, 2)
            most, large = took(page, session, _LASSO, 10, 30)
            print(
                f"{n:,} points on {width} x {height} by {renderer}\n"
                f"  {1e3 * frames / wall:.1f} frames/s while panning; of the processor, our code "
                f"takes {own:.2f} ms a frame\n"
                f"  point under the pointer {hover:.3f} ms; lasso of 60 corners: {few:,} points in "
                f"{small:.1f} ms, {most:,} in {large:.1f} ms",
                flush=True,
            )
        browser.close()


if __name__ == "__main__":
    main()
