"""The page as a browser shows it, on a screen and on a phone, light and dark, with and without scripts."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from gan.stages import report
from tests.browser import chromium, requests
from tests.report.run import STEPS, make_run

PAGE = Path("reports/index.html")


def build(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: bool) -> Path:
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(make_run(folder, **options))
    report.main()
    return folder / PAGE


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield build(tmp_path_factory.mktemp("run"), monkeypatch)


def media(driver: Chrome, **features: str) -> None:
    named = [{"name": key.replace("_", "-"), "value": value} for key, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": named})


def see(driver: Chrome, page: Path) -> str:
    driver.get(page.as_uri())
    return str(driver.find_element(By.TAG_NAME, "body").text)


def overflow(driver: Chrome) -> int:
    return int(driver.execute_script("return document.documentElement.scrollWidth - innerWidth"))


def undecoded(driver: Chrome) -> list[str]:
    script = "return [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)"
    return list(driver.execute_script(script))


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(…)` (WCAG 2.2)."""
    channels = [int(channel) / 255 for channel in re.findall(r"\d+", colour)[:3]]
    linear = [
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


CONTRASTS = """
const behind = element => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (!/, 0\\)$/.test(colour)) return colour;
  }
};
const found = {};
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility() || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
  const style = getComputedStyle(element);
  const front = element instanceof SVGElement ? style.fill : style.color;
  found[front + " on " + behind(element)] = element.textContent.trim().slice(0, 40);
}
return found;
"""


def weakest(driver: Chrome) -> tuple[float, str]:
    """Return the least contrast of any text with what is behind it, and the text."""
    contrasts = []
    for colours, text in driver.execute_script(CONTRASTS).items():
        light, dark = sorted(map(luminance, colours.split(" on ")), reverse=True)
        contrasts.append(((light + 0.05) / (dark + 0.05), f"{colours}: {text}"))
    return min(contrasts)


def shown_frames(driver: Chrome) -> list[str]:
    frames = driver.find_elements(By.CSS_SELECTOR, ".frames figure")
    return [frame.text for frame in frames if frame.is_displayed()]


def test_a_wide_screen(page: Path, tmp_path: Path) -> None:
    with chromium(tmp_path) as driver:
        media(driver, prefers_color_scheme="light")
        text = see(driver, page)
        for phrase in (
            "DCGAN on digits",
            "They do not repeat training images.",
            "Memorisation",
            "Path length",
            "0.45 to 0.6",
            "A sample is flagged if",
            "1,438 training and 359 held-out images",
            "All 2 expectations hold.",
            "python -m gan.provenance verify",
            "python -m flows.page",
        ):
            assert phrase in text, phrase
        assert undecoded(driver) == []
        assert overflow(driver) <= 0
        assert weakest(driver)[0] >= 4.5, weakest(driver)
        levels = [int(h.tag_name[1]) for h in driver.find_elements(By.CSS_SELECTOR, "h1,h2,h3,h4")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(below - above <= 1 for above, below in pairwise(levels))
        assert not driver.execute_script("return [...document.images].filter(image => !image.alt).length")
        # Whatever lies beside it is one click away, and nothing else was asked for.
        link = driver.find_element(By.LINK_TEXT, "The validation page").get_attribute("href")
        assert link == (page.parent / "validation" / "index.html").as_uri()
        assert requests(driver) == [page.as_uri()]
        assert not [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def test_the_player(page: Path, tmp_path: Path) -> None:
    with chromium(tmp_path) as driver:
        see(driver, page)
        assert shown_frames(driver) == ["step 20, published after 1,280 images"]
        slider = driver.find_element(By.CSS_SELECTOR, "input[type=range]")
        assert slider.get_attribute("aria-valuetext") == "step 20, published"
        slider.send_keys(Keys.ARROW_LEFT)
        assert shown_frames(driver) == ["step 10 after 640 images"]
        slider.send_keys(Keys.END)
        assert shown_frames(driver) == ["step 30 after 1,920 images"]
        button = driver.find_element(By.CSS_SELECTOR, ".controls button")
        button.send_keys(Keys.ENTER)  # from the last: begins again
        assert button.text == "Pause"
        assert shown_frames(driver) == ["step 10 after 640 images"]
        WebDriverWait(driver, 10, 0.05).until(lambda _: "step 20" in shown_frames(driver)[0])
        WebDriverWait(driver, 10, 0.05).until(lambda _: button.text == "Play")
        assert shown_frames(driver) == ["step 30 after 1,920 images"]


def test_a_phone_in_the_dark_without_motion(page: Path, tmp_path: Path) -> None:
    with chromium(tmp_path, 390, 844) as driver:
        media(driver, prefers_color_scheme="dark", prefers_reduced_motion="reduce")
        see(driver, page)
        assert overflow(driver) <= 0
        assert undecoded(driver) == []
        assert (
            luminance(driver.execute_script("return getComputedStyle(document.body).backgroundColor")) < 0.05
        )
        assert weakest(driver)[0] >= 4.5, weakest(driver)
        alts = {
            image.get_attribute("alt"): image.is_displayed()
            for image in driver.find_elements(By.TAG_NAME, "img")
        }
        assert not alts["Animation: samples along a path of latents and back"]
        assert alts["Interpolations between latents, one pair per row"]


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 390])
def test_without_scripts_all_is_there(page: Path, tmp_path: Path, width: int) -> None:
    with chromium(tmp_path, width, scripts=False) as driver:
        text = see(driver, page)
        for step in STEPS:
            assert f"step {step}" in text
        assert "Play" not in text
        sections = [
            section for section in driver.find_elements(By.TAG_NAME, "section") if not section.is_displayed()
        ]
        assert sections == []
        driver.find_element(By.CSS_SELECTOR, "#params summary").click()
        assert "image_size: 32" in driver.find_element(By.ID, "params").text
        images = driver.find_elements(By.TAG_NAME, "img")
        assert len(images) == 4 + 1 + len(STEPS)
        assert all(image.is_displayed() and image.size["width"] > 100 for image in images)


@pytest.mark.slow
def test_names_of_any_kind_do_not_break_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = build(tmp_path / "run", monkeypatch, hostile=True)
    assert "secret" not in page.read_text() + (page.parent / "model_card.md").read_text()
    for width in (1280, 390):
        with chromium(tmp_path / str(width), width) as driver:
            text = see(driver, page)
            assert 'a<b>&"' in text
            assert "1 of 2 expectations warns." in text
            assert overflow(driver) <= 0
            assert driver.find_elements(By.TAG_NAME, "b") == []
            for summary in driver.find_elements(By.TAG_NAME, "summary"):
                driver.execute_script("arguments[0].parentElement.open = true", summary)
            assert overflow(driver) <= 0
            assert not [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]


def test_what_got_in_would_neither_run_nor_load(page: Path, tmp_path: Path) -> None:
    """The page's own policy, against a server that takes note of who asks."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        added = f'<main><script>document.title = "taken"</script><img id="added" src="{address}/in-page.png">'
        (tmp_path / "broken.html").write_text(page.read_text().replace("<main>", added))
        (tmp_path / "plain.html").write_text(f'<img src="{address}/without-policy.png">')
        with chromium(tmp_path / "profile") as driver:
            see(driver, tmp_path / "broken.html")
            assert driver.title == "DCGAN on digits"
            assert driver.find_element(By.ID, "added").get_attribute("naturalWidth") == "0"
            see(driver, tmp_path / "plain.html")
        server.shutdown()
    assert asked == ["/without-policy.png"]


def test_what_is_not_there_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = build(tmp_path / "run", monkeypatch, bare=True).read_text()
    visible = re.sub(r'data:[^"]*|<(script|style).*?</\1>', "", page, flags=re.DOTALL)
    for text in (
        "Nearest real images",
        "Animation",
        "The validation page",
        "Path length",
        "repeat training",
    ):
        assert text not in visible
    assert "Between latents" in visible


def test_equal_runs_give_equal_bytes(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = build(tmp_path / "again", monkeypatch)
    for name in ("index.html", "model_card.md"):
        assert (again.parent / name).read_bytes() == (page.parent / name).read_bytes()
    assert page.stat().st_size < 3_000_000


def test_images_are_embedded_once(page: Path) -> None:
    addresses: list[Any] = re.findall(r'src="(data:image/[^"]+)"', page.read_text())
    assert len(addresses) == len(set(addresses)) == 5 + len(STEPS)


@pytest.mark.parametrize("width", [1280, pytest.param(390, marks=pytest.mark.slow)])
def test_each_sample_of_the_grid_has_its_class_in_its_own_cell(
    page: Path, tmp_path: Path, width: int
) -> None:
    with chromium(tmp_path / "profile", width) as driver:
        driver.get(page.as_uri())
        grid = driver.find_element(By.CSS_SELECTOR, ".labelled img").rect
        labels = driver.find_elements(By.CSS_SELECTOR, ".cells li")
        assert [label.text for label in labels] == ["digit", "1"] * 50
        for index, label in enumerate(labels):
            row, column = divmod(index, 10)
            left = grid["x"] + column * grid["width"] / 10
            top = grid["y"] + row * grid["height"] / 10
            box = label.rect
            assert left - 1 <= box["x"] and box["x"] + box["width"] <= left + grid["width"] / 10 + 1
            assert top - 1 <= box["y"] and box["y"] + box["height"] <= top + grid["height"] / 10 + 1
        assert "a column for each class (digit, 1)" in driver.find_element(By.ID, "training").text


def test_a_grid_without_classes_has_no_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = build(tmp_path / "run", monkeypatch, bare=True).read_text()
    assert "none picked by hand." in text
    assert 'class="cells"' not in text
