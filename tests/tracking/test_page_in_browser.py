"""The page in a real browser, where the machine has Chromium and Playwright: what is done on it, also by keyboard."""

import json
import shutil
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1]))

from made_reports import made_report

from xa_search.tracking.page.drawing import draw_page

pytestmark = pytest.mark.proof
WIDTHS = (400, 1600)
DEFICIENCIES = ("protanopia", "deuteranopia", "tritanopia", "achromatopsia")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=WIDTHS)
def page(browser: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page at a width; whatever the console says, or whatever it asks of the network, fails the test."""
    path = tmp_path / "index.html"
    path.write_text(draw_page([made_report(trials=30)]), encoding="utf-8")
    context = browser.new_context(viewport={"width": request.param, "height": 900})
    opened, said = context.new_page(), []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda asked: said.append(asked.url) if not asked.url.startswith(("file:", "data:")) else None)
    opened.goto(path.as_uri())
    yield opened
    assert said == []
    context.close()


def chosen(page: Any) -> str:
    return str(page.locator("#chosen").inner_text())


def test_nothing_is_wider_than_the_window(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("[data-picture]").count() == 3


def test_the_numbers_that_scripts_draw_are_the_reports(page: Any) -> None:
    report = made_report(trials=30)
    for metric in report.trial_metrics:
        page.get_by_label("Metric").nth(1).select_option(metric)
        cells = page.locator("table.heat tbody tr").nth(7).locator("td").all_inner_texts()
        values = report.trials[7].by_language[metric]
        assert cells == ["–" if value is None else f"{value:.1f}" for value in values]
    assert page.locator("[data-chart=curves] path[data-trial]").count() == 2 * len(report.trials)


def test_a_trial_is_chosen_by_keyboard_and_marked_everywhere(page: Any) -> None:
    page.locator("[data-chart=curves] svg[data-picture]").focus()
    page.keyboard.press("ArrowRight")
    assert chosen(page).startswith("trial 0 of made-1234: baseline")
    page.keyboard.press("ArrowRight")
    assert chosen(page).startswith("trial 1 of made-1234")
    for place in ("table.trials", "[data-chart=heat]", "[data-chart=pareto]", "[data-chart=parallel]"):
        assert page.locator(f'{place} .chosen[data-trial="1"]').count() >= 1
    page.keyboard.press("Escape")
    assert chosen(page) == ""
    page.locator("table.trials button").nth(4).focus()
    page.keyboard.press("Enter")
    assert chosen(page).startswith("trial 4 ")


def test_a_mark_is_chosen_by_hovering(page: Any) -> None:
    page.locator('[data-chart=pareto] path[data-trial="1"]').hover(force=True)
    assert chosen(page).startswith("trial ")


def test_filters_apply_to_every_picture(page: Any) -> None:
    page.get_by_label("score at least").fill("54")
    told = page.locator("form.filters output").inner_text()
    count = int(told.split()[0])
    assert 0 < count < 30
    assert page.locator("[data-chart=parallel] path[data-trial]").count() == count
    assert page.locator("table.trials tr[data-trial]:visible").count() == count
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("document.querySelector('form.filters output').textContent.startsWith('30 of')")
    page.get_by_label("base").press("Space")
    assert page.locator("table.trials tr[data-trial]:visible").count() == 20


def test_the_metric_is_switched_by_keyboard(page: Any) -> None:
    switch = page.get_by_label("Metric").first
    switch.focus()
    switch.press("ArrowDown")
    assert page.locator(".switched:visible h4").all_inner_texts() == ["slot F1"]


def test_an_example_is_opened_and_a_command_copied(page: Any) -> None:
    summary = page.locator(".examples summary").nth(1)
    summary.press("Enter")
    assert page.locator(".examples details").nth(1).locator("mark").first.is_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").first.press("Enter")
    page.wait_for_function("document.querySelector('[data-copy]').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == made_report().commands[0].command


def test_right_to_left_text_runs_that_way(page: Any) -> None:
    texts = "[...document.querySelectorAll('.examples summary bdi')]"
    directions = page.evaluate(f"{texts}.map(one => [one.lang, getComputedStyle(one).direction])")
    assert {json.dumps(pair) for pair in directions} == {'["th", "ltr"]', '["hi", "ltr"]', '["ar", "rtl"]'}


def test_it_is_printed_and_seen_by_readers_who_see_fewer_colours(page: Any, tmp_path: Path) -> None:
    session = page.context.new_cdp_session(page)
    assert page.pdf()[:4] == b"%PDF"
    for kind in DEFICIENCIES:
        session.send("Emulation.setEmulatedVisionDeficiency", {"type": kind})
        assert page.screenshot()[:4] == b"\x89PNG"


@pytest.mark.parametrize("width", WIDTHS)
def test_three_searches_stand_side_by_side(browser: Any, tmp_path: Path, width: int) -> None:
    path = tmp_path / "comparison.html"
    path.write_text(draw_page([made_report(name=f"made-{number}") for number in range(3)]), encoding="utf-8")
    opened, said = browser.new_page(viewport={"width": width, "height": 900}), []
    opened.on("console", lambda message: said.append(message.text))
    opened.goto(path.as_uri())
    assert opened.locator("[data-picture]").count() == 9
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tops = opened.evaluate("[...document.querySelectorAll('#summary .column')].map(one => one.offsetTop)")
    assert len(set(tops)) == (3 if width < 1000 else 1)
    assert said == []
    opened.close()


def test_a_running_searchs_page_renews_itself(browser: Any) -> None:
    """It asks where it came from whether there is news, and loads itself anew when there is."""
    news = {"/": draw_page([made_report(name="first-1")], live=True).replace('data-live="5"', 'data-live="0.2"')}
    news["/stamp"] = "1"

    class Served(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain" if self.path == "/stamp" else "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(news.get(self.path, "").encode())

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Served) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        opened = browser.new_page()
        with opened.expect_response(lambda answer: answer.url.endswith("stamp")):
            opened.goto(f"http://127.0.0.1:{server.server_port}/")
        news |= {"/": draw_page([made_report(name="second-2")], live=True), "/stamp": "2"}
        opened.get_by_role("heading", name="second-2").wait_for()
        opened.close()
        server.shutdown()
