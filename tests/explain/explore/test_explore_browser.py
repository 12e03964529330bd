"""The pages in a real browser; skipped where there is none (make chromium installs one)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hostile_store as hostile
import numpy as np
import pytest
import synthetic_store as toy
from running_server import running
from served_pages import Served
from tiers import few

from explain.explore.engine import Limits
from explain.report.page import write_report
from featurestore.crystal import Crystal

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("there is no chromium here", allow_module_level=True)

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
WIDTHS = {"desktop": 1280, "phone": 390}
# WebGL by the processor.
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    with running(served.store.uri, Limits(processes=0)) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(params=few(WIDTHS, 1))
def page(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[Any]:
    """A page, dark on the phone; what its console and network did wrong is an error at the end."""
    phone = request.param == "phone"
    context = browser.new_context(
        viewport={"width": WIDTHS[request.param], "height": 900},
        color_scheme="dark" if phone else "light",
        bypass_csp=False,
    )
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "request",
        lambda r: None if r.url.startswith((address, "data:", "blob:")) else wrong.append(r.url),
    )
    yield opened
    context.close()
    assert wrong == []


def visit(page: Any, address: str) -> None:
    page.goto(address, wait_until="networkidle")
    assert page.title() != "owned"
    across = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert across[0] <= across[1], "nothing sticks out to the side"


def check_access(page: Any) -> None:
    """No violation of WCAG 2.2 A and AA that axe-core can see: labels, contrast, roles, names."""
    # Its source is evaluated, not added as a script: the policy forbids those.
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    )
    said = [
        (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
        for one in found["violations"]
    ]
    assert said == []


def test_pages_are_accessible_and_ask_nobody_else(page: Any, address: str, served: Served) -> None:
    for path in (
        f"/?of={hostile.PROPERTY.replace('<', '%3C').replace('>', '%3E')}&element=Na",
        "/models",
        f"/model?id={served.model}",
        "/try",
        "/sql?q=SELECT+*+FROM+failures",
        "/store",
        "/store/coverage",
        "/store/runs",
        "/store/failures",
        f"/compare?a={served.model}&b={served.model}",
    ):
        visit(page, address + path)
        # Half a second a page: the light ones wide, and those that are most used dark and narrow.
        if page.viewport_size["width"] > 400 or path.startswith(("/?", "/model?")):
            check_access(page)


def test_a_crystal_is_drawn_and_turned_by_keys(page: Any, address: str) -> None:
    visit(page, f"{address}/material?id=toy-001")
    page.wait_for_selector("#viewer canvas")
    assert page.locator("#legend li").count() == 2
    check_access(page)
    canvas = page.locator("#viewer canvas")
    before = canvas.screenshot()
    canvas.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_timeout(150)
    assert canvas.screenshot() != before
    page.fill("#a", "2")
    page.click("#cells button:not([type])")
    page.wait_for_timeout(300)
    page.locator("[data-near]").first.scroll_into_view_if_needed()
    page.wait_for_selector(".near li")
    assert page.locator(".near li").count() >= 6


def test_points_of_a_map_are_hovered_over_and_lassoed(page: Any, address: str) -> None:
    visit(page, f"{address}/map?encoder={toy.STRUCTURE_ENCODER}")
    page.wait_for_function("document.querySelector('#said').textContent.includes('materials')")
    check_access(page)
    box = page.locator("#plot").bounding_box()
    page.click("#lasso")
    left, top, right, bottom = (
        box["x"] + 62, box["y"] + 16, box["x"] + box["width"] - 18, box["y"] + box["height"] - 46,
    )  # fmt: skip
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 5)):
        page.mouse.move(x, y, steps=4)
    page.mouse.up()
    page.wait_for_selector("#list li")
    assert page.locator("#list li").count() > 50
    kept = page.url
    assert "lasso=" in kept
    count = page.locator("#count").text_content()
    visit(page, kept)
    page.wait_for_selector("#list li")
    assert page.locator("#count").text_content() == count, "an address holds the lasso"


def test_by_keyboard_alone_one_finds_and_opens_a_material(page: Any, address: str) -> None:
    visit(page, address + "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.focus("#q")
    page.keyboard.type("toy-007")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=toy-007*")
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "toy-007":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/material?id=toy-007")


def test_the_editor_completes(page: Any, address: str) -> None:
    visit(page, address + "/sql")
    page.wait_for_selector("#words section")
    page.focus("#query")
    page.keyboard.type("SELECT count(*) AS n FROM mater")
    page.wait_for_selector(".completion li")
    page.keyboard.press("Enter")
    assert page.input_value("#query").endswith("FROM materials")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("table")
    assert page.locator("tbody td").text_content() == str(hostile.N)


def test_a_structure_turns_in_a_notebook_and_cannot_reach_it(browser: Any, tmp_path: Path) -> None:
    salt = Crystal(4.0 * np.eye(3), ("Na", "Cl"), np.array([[0, 0, 0], [0.5, 0.5, 0.5]]))
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>n</title>{salt._repr_html_()}", "utf-8")
    opened = browser.new_page()
    wrong: list[str] = []
    opened.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda r: wrong.append(r.url) if r.url.startswith("http") else None)
    opened.goto(path.as_uri(), wait_until="networkidle")
    frame = opened.frames[1]
    drawn = "document.querySelector('canvas').toDataURL()"
    frame.wait_for_function("document.querySelector('canvas').width > 100")
    before = frame.evaluate(drawn)
    frame.focus("canvas")
    opened.keyboard.press("ArrowRight")
    assert frame.evaluate(drawn) != before
    check_access(frame)
    alone = "(() => { try { return parent.document.title; } catch { return 'shut off'; } })()"
    assert frame.evaluate(alone) == "shut off"
    opened.close()
    assert wrong == []


@pytest.mark.parametrize("scheme", few(["light", "dark"], 1))
@pytest.mark.slow
def test_the_report_of_a_model_is_accessible(
    served: Served, browser: Any, tmp_path: Path, scheme: str
) -> None:
    path = tmp_path / "report.html"
    with served.store.session() as session:
        write_report(session, served.model, path)
    context = browser.new_context(
        viewport={"width": WIDTHS["phone"], "height": 900}, color_scheme=scheme
    )
    opened = context.new_page()
    visit(opened, path.as_uri())
    check_access(opened)
    context.close()
