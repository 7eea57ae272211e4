"""A set of few images that are no enlarged photos: the people of Noto's emoji font, as PNG files.

    python -m benchmarks.emoji --out FOLDER

Debian's package `fonts-noto-color-emoji` has the font. FOLDER gets 426 images in train/ and 426 in test/,
each half with the classes man, woman and person: many professions, gestures, hair and skin colours, 64×64
pixels, on white. For `benchmarks.few`, set `data.source` to FOLDER and `data.image_size` to 64.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks import options
from gan.errors import UserError
from gan.stage import run, say

NOTO = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
STRIKE = 109  # the size of its bitmaps, in points
WIDTH = 136  # pixels of a bitmap; what is wider is two signs, of which the font knows no joined form
SIZE = 64
JOINED, AS_EMOJI = "\u200d", "\ufe0f"
TONES = ["", *(chr(tone) for tone in range(0x1F3FB, 0x1F400))]
WHO = {"man": "👨", "woman": "👩", "person": "🧑"}
JOBS = [*"🌾🍳🍼🎓🎤🎨🏫🏭💻💼🔧🔬🚀🚒", *(sign + AS_EMOJI for sign in "⚕⚖✈")]
HAIR = [*"🦰🦱🦳🦲"]
ROLES = [*"👮👷💂👳🧙🧚🧛🧝🤵👰🙍🙎💁🙋🤦🤷💆💇🙆🙅👱"]  # each as a man, a woman and a person
GENDER = {"man": f"{JOINED}♂{AS_EMOJI}", "woman": f"{JOINED}♀{AS_EMOJI}", "person": ""}
ALONE = {"man": "👨👴👦👲🤴🎅", "woman": "👩👵👧👸🧕🤱", "person": "🧑🧓🧒🤰"}


def main() -> None:
    """Draw all, and write a random half as training images."""
    asked = _options()
    try:
        font = ImageFont.truetype(asked.font, STRIKE, layout_engine=ImageFont.Layout.RAQM)
    except OSError:
        raise UserError(f"--font {asked.font}: no font; install fonts-noto-color-emoji") from None
    drawn = [(label, image) for label, text in people() if (image := draw(text, font)) is not None]
    random.Random(0).shuffle(drawn)  # noqa: S311 - the same halves each time
    for number, (label, image) in enumerate(drawn):
        folder = asked.out / ("train" if 2 * number < len(drawn) else "test") / label
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{number:04}.png")
    say("emoji", f"{len(drawn)} images in {asked.out}")


def people() -> Iterator[tuple[str, str]]:
    """Yield class and text of each emoji, once."""
    for label, who in WHO.items():
        for tone in TONES:
            yield from ((label, who + tone + JOINED + sign) for sign in JOBS + HAIR)
            yield from ((label, role + tone + GENDER[label]) for role in ROLES)
            yield from ((label, alone + tone) for alone in ALONE[label])


def draw(text: str, font: ImageFont.FreeTypeFont) -> Image.Image | None:
    """Return an emoji on white, 64×64 pixels, or None where the font does not have it."""
    sheet = Image.new("RGBA", (4 * WIDTH, 2 * WIDTH))
    ImageDraw.Draw(sheet).text((10, 10), text, font=font, embedded_color=True)
    box = sheet.getbbox()
    if box is None or box[2] - box[0] > WIDTH:
        return None
    sign = sheet.crop(box)
    square = Image.new("RGB", (WIDTH, WIDTH), "white")
    below = WIDTH - sign.height - 2 if sign.height < WIDTH - 2 else 0  # shoulders end where the image does
    square.paste(sign, ((WIDTH - sign.width) // 2, below), sign)
    return square.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _options() -> argparse.Namespace:
    parser = options.Parser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--font", type=Path, default=NOTO)
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    run("emoji", main, lock=False, stage=False)
