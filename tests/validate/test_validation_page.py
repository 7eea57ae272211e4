"""The page of the stage validate: what a real browser shows of it; hostile names; its bounds."""

import re

import numpy as np
import pytest

from gan.data.arrays import Arrays
from gan.params import load
from gan.validate.manifest_summary import accepted
from gan.validate.reference_manifest import Reference
from gan.validate.thumbnails import Thumbnails
from gan.validate.validation_page import page, readable
from gan.validate.validation_result import judge
from tests.browser import chromium, requests, screenshot
from tests.conftest import DEFAULTS, ROOT
from tests.data.example_manifests import manifest, near, refuse, textured
from tests.data.image_files import picture

HOSTILE = [
    "a\nb<script>alert(1)</script>.png",
    "\u202egnp.exe",
    '"><img src=//evil.example/x>.png',
    "قطة.png",
]
LIMITS = load(DEFAULTS).validation


def halves(frame, side=32):
    """Return packed arrays of smooth pictures for a manifest."""
    counts = frame["split"].value_counts()
    return {
        half: Arrays(
            np.stack([np.asarray(picture(k, (side, side))).transpose(2, 0, 1) for k in range(counts[half])]),
            None,
            None,
        )
        for half in ("train", "test")
    }


@pytest.fixture(scope="module")
def faulty():
    frame = textured(150, 0, classes="ab")
    frame.loc[[0, 1, 2, 3], "path"] = HOSTILE
    frame.loc[3, "label"] = "<b>x</b>"
    frame.loc[[0, 5, 6], "std"] = 0.5
    frame.loc[[4, 9, 14], "pixels_sha256"] = frame.loc[[1, 10, 11], "pixels_sha256"].to_numpy()
    near(frame, (20, 21, 22))
    refuse(frame, [2, 7], "not an image")
    return frame


@pytest.fixture(scope="module")
def written_page(faulty):
    was = accepted(textured(200, 1, brighter=60, classes="abz"))
    reference = Reference(was, "ab" * 32)
    limits = LIMITS.model_copy(update={"max_leaked": 0.5})
    return page(judge(faulty, limits, reference), faulty, halves(faulty), was)


@pytest.mark.parametrize("width", [390, pytest.param(1280, marks=pytest.mark.slow)])
def test_a_browser_shows_it_without_scripts_or_network(written_page, tmp_path, width):
    (tmp_path / "index.html").write_text(written_page, encoding="utf-8")
    with chromium(tmp_path / "profile", width, scripts=False) as browser:
        browser.get((tmp_path / "index.html").as_uri())
        text = browser.find_element("tag name", "body").text
        assert requests(browser) == [(tmp_path / "index.html").as_uri()]
        assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        metrics = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})
        assert metrics["cssContentSize"]["width"] <= width  # nothing to scroll sideways
        pictures = browser.find_elements("css selector", "section.card img")
        assert pictures and all(int(picture.get_property("naturalWidth")) == 32 for picture in pictures)
        screenshot(browser, tmp_path / "page.png")
    for expected in (
        "expectations warn.",
        "drift of brightness (mean of pixels), bits beyond chance",
        "classes of the reference that no image has",
        "Classes: z.",
        "contrast (std of pixels)",
        "3 of 148 differ",
        r"a\nb<script>alert(1)</script>.png",
        "\\u202egnp.exe",
        "قطة.png",
        "not an image",
        "Within the limits, and worth a look",
        "share of images that nearly repeat another",
        "<b>x</b>",
        "Line: the 200 of the reference",
    ):
        assert expected.lower() in text.lower(), expected


def test_no_name_becomes_markup(written_page):
    assert (
        "<script" not in written_page and "<img src=//evil" not in written_page and "<b>x" not in written_page
    )
    assert "\u202e" not in written_page
    tags = " ".join(re.findall("<[^>]+>", written_page))
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:|#)[^"'>)]+""", tags)


def test_leaks_are_pairs_with_thumbnails(written_page):
    card = written_page[written_page.index('id="leaked"') :]
    card = card[: card.index("</details>")]
    groups = card.split('<div class="group">')[1:]
    assert len(groups) == 3 and all(group.count("<img") == 2 for group in groups)
    assert "004.png" in groups[0] and "u202egnp.exe" in groups[0]


def test_refused_images_are_names_with_reasons(written_page):
    card = written_page[written_page.index('id="all_decodable"') :]
    card = card[: card.index("</section>")]
    assert "<img" not in card and card.count("<li>") == 2 and card.count("not an image") == 2


def test_the_same_page_twice(faulty):
    pages = [page(judge(faulty, LIMITS), faulty, halves(faulty)) for _ in range(2)]
    assert pages[0] == pages[1]


@pytest.mark.parametrize("side", [32, 128])
def test_a_page_of_offenders_alone_is_bounded(side):
    frame = manifest(3000, labels=[f"class {k} " + "x" * 500 for k in range(300)])
    frame["path"] = [f"{'y' * 2000}{k}.png" for k in range(3000)]
    frame["std"], frame["entropy"], frame["mode"], frame["height"] = 0.1, 0.1, "XYZ", 1
    frame["min"] = frame["max"]
    frame["pixels_sha256"] = [f"{k // 4}" for k in range(3000)]
    near(frame, *(range(k, k + 4) for k in range(0, 3000, 4)))
    arrays = halves(frame.astype({"mode": "string", "pixels_sha256": "string"}).head(60), side)
    noise = np.random.default_rng(0).integers(0, 256, arrays["train"].images.shape, np.uint8)
    text = page(judge(frame, LIMITS), frame, {**arrays, "train": Arrays(noise, None, None)})
    assert text.count("<img") > 60 and len(text.encode()) < 2_000_000
    for card in text.split('class="card')[1:]:
        assert card[: card.index("</section>")].count("<figure") <= 12


def test_thumbnails_end_where_the_page_is_full():
    noise = Arrays(np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), np.uint8), None, None)
    thumbnails = Thumbnails({"train": noise}, budget=10_000)
    made = [thumbnails.address("train", number) for number in range(5)]
    assert made[0] and made[1] and made[2:] == [None] * 3
    assert thumbnails.address("test", 0) is thumbnails.address("train", 9) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a\tb", "a\\tb"),
        ("\udcff", "\\udcff"),
        ("é/猫.png", "é/猫.png"),
        ("x" * 99, f"{'x' * 40} … {'x' * 40}"),
    ],
)
def test_names_are_fit_to_be_read(name, text):
    assert readable(name) == text and text.encode()


def test_its_colours_are_those_of_the_report(written_page):
    """The same names in both style sheets, light and dark, have the same values."""
    report = (ROOT / "gan" / "report" / "templates" / "page.css").read_text()
    ours, theirs = (
        [
            dict(re.findall(r"--(\w+): (#\w{6});", half))
            for half in re.split(r"@media[^{]*dark", text, maxsplit=1)
        ]
        for text in (written_page, report)
    )
    for mine, its in zip(ours, theirs, strict=True):
        assert len(mine) == 10
        assert mine.items() <= its.items()
