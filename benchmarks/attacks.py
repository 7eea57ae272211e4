"""What is done to marked images before the mark is looked for: uint8 (C, H, W) in and out, of any size."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from gan.provenance.mark import MARGIN

Attack = Callable[[np.ndarray, np.random.Generator], np.ndarray]
BACK = -1  # resize to the size that the image had at first


def _opened(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def _array(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def coded(kind: str, quality: int) -> Attack:
    """Return: written as a JPEG or WEBP file of that quality, and read."""

    def attack(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
        file = io.BytesIO()
        _opened(image).save(file, kind, quality=quality)
        return _array(Image.open(file).convert("L" if len(image) == 1 else "RGB"))

    return attack


def sized(scale: float, method: Image.Resampling = Image.Resampling.BICUBIC) -> Attack:
    """Return: resized to ``scale`` times its sides."""
    return lambda image, _rng: resized(image, tuple(round(side * scale) for side in image.shape[1:]), method)


def resized(
    image: np.ndarray, size: tuple[int, ...], method: Image.Resampling = Image.Resampling.BICUBIC
) -> np.ndarray:
    """Return an image brought to (height, width)."""
    return _array(_opened(image).resize((size[1], size[0]), method))


def cropped(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut off up to an eighth of the height and of the width, at random ends."""
    cuts = []
    for side in image.shape[1:]:
        lost = int(rng.integers(MARGIN * side // 32 + 1))
        before = int(rng.integers(lost + 1))
        cuts.append(slice(before, side - lost + before))
    return image[:, cuts[0], cuts[1]]


def cropped_and_back(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Crop at random; resize to the size before."""
    return resized(cropped(image, rng), image.shape[1:])


def flipped(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Mirror left and right."""
    return image[:, :, ::-1]


def blurred(radius: float) -> Attack:
    """Return: blurred by a Gaussian of so many pixels."""
    return lambda image, _rng: _array(_opened(image).filter(ImageFilter.GaussianBlur(radius)))


def rotated(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Turn by 3 degrees; the corners are black."""
    return _array(_opened(image).rotate(3, Image.Resampling.BICUBIC))


def cut(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Cut off a quarter of the height and of the width, around the centre."""
    rows, columns = (slice(side // 8, side - side // 8) for side in image.shape[1:])
    return image[:, rows, columns]


def bordered(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Put into a white frame of an eighth of the side."""
    width = image.shape[1] // 8
    return np.pad(image, ((0, 0), (width, width), (width, width)), constant_values=255)


def upside_down(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Turn by half a circle."""
    return image[:, ::-1, ::-1]


def noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of 5 grey levels."""
    noise = rng.normal(0, 5, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def darker(image: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Take gamma 1.2 and 0.8 of the contrast."""
    return np.rint(((image / 255) ** 1.2 * 0.8 + 0.1) * 255).astype(np.uint8)


def chain(*attacks: Attack) -> Attack:
    """Return one attack after the other."""

    def attack(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        for each in attacks:
            image = each(image, rng)
        return image

    return attack


JPEG_75 = coded("JPEG", 75)
ATTACKS: dict[str, Attack] = {
    "none": lambda image, _rng: image,
    "JPEG 75": JPEG_75,
    "JPEG 50": coded("JPEG", 50),
    "WebP 75": coded("WEBP", 75),
    "resized ×0.75": sized(0.75),
    "resized ×0.75 and back": chain(sized(0.75), sized(4 / 3)),
    "resized ×0.5": sized(0.5),
    "resized ×2": sized(2),
    "mirrored": flipped,
    "cropped by up to 1/8": cropped,
    "cropped by up to 1/8, resized back": cropped_and_back,
    "blurred, σ 0.75 pixels": blurred(0.75),
    "noise, σ 5": noisy,
    "gamma 1.2, contrast ×0.8": darker,
    "mirrored, ×2, JPEG 75": chain(flipped, sized(2), JPEG_75),
    "screenshot: ×3 nearest, cropped, ×0.5, JPEG 75": chain(
        sized(3, Image.Resampling.NEAREST), cropped, sized(0.5), JPEG_75
    ),
}

BEYOND: dict[str, Attack] = {  # where it ends, or nearly so
    "rotated by 3°": rotated,
    "blurred, σ 1.5 pixels": blurred(1.5),
    "resized ×0.375": sized(0.375),
    "JPEG 15": coded("JPEG", 15),
    "cropped by 1/4": cut,
    "in a frame": bordered,
    "upside down": upside_down,
}
