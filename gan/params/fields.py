"""The kinds of values that params have, and the base of their sections."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        raise ValueError("black has to be less than white, such as [0, 4095]")
    return pair


def _no_numbers(names: Any) -> Any:
    if isinstance(names, list | tuple) and (numbers := [n for n in names if not isinstance(n, str)]):
        quoted = ", ".join(f"'{name}'" for name in names[:3])
        raise ValueError(f"{numbers[0]!r} is no text; labels are names, so put them in quotes: [{quoted}]")
    return names


def _composed(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", name) for name in names)


def _known_page(name: str) -> str:
    """Check that a name is auto or a code page of text."""
    if name != "auto":
        try:
            b"a".decode(name)
        except (LookupError, ValueError, TypeError):
            raise ValueError(
                f"{name!r} is no code page; give auto or one such as cp932, gb18030, cp866"
            ) from None
    return name


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]  # YAML has lists, and these would not be frozen
ValueRange = Annotated[tuple[float, float], Field(strict=False), AfterValidator(_rising)]
CodePage = Annotated[str, Field(min_length=1), AfterValidator(_known_page)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Labels = Annotated[Texts, BeforeValidator(_no_numbers), AfterValidator(_composed)]  # as labels are read


class Section(BaseModel):
    """Base of all sections: unknown keys, NaN, infinities and silent conversions are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Ramp(Section):
    """A value that goes in a straight line from one to another while training sees ``over`` images."""

    model_config = ConfigDict(serialize_by_alias=True)

    start: Annotated[float, Field(alias="from")]
    end: Annotated[float, Field(alias="to")]
    over: Count


def _kind(value: object) -> str:
    return "ramp" if isinstance(value, Mapping | Ramp) else "number"


# A number, or {from: …, to: …, over: images}; ``within`` says which numbers.
Ramped = Annotated[Annotated[float, Tag("number")] | Annotated[Ramp, Tag("ramp")], Discriminator(_kind)]


def within(kind: Any) -> AfterValidator:
    """Hold a number, or both ends of a ramp, to a kind of number such as `Positive`."""
    number = TypeAdapter(kind)

    def check(value: float | Ramp) -> float | Ramp:
        for end in ends(value):
            try:
                number.validate_python(end)
            except ValidationError as error:
                rule = error.errors()[0]["msg"]
                raise ValueError(f"{end!r}: {rule[0].lower()}{rule[1:]}") from None
        return value

    return AfterValidator(check)


def value_at(value: float | Ramp, images: int) -> float:
    """Return a value, or that of a ramp after so many training images."""
    if not isinstance(value, Ramp):
        return value
    return value.start + (value.end - value.start) * min(images / value.over, 1.0)


def ends(value: float | Ramp) -> tuple[float, float]:
    """Return the first and the last value."""
    return (value.start, value.end) if isinstance(value, Ramp) else (value, value)


class LayoutPatterns(Section):
    """Which images are training and test images, by file pattern, and their labels, by regular expression."""

    train: Text | None = None
    test: Text | None = None
    label: Text | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.train is None and self.test is None and self.label is None:
            raise ValueError("empty; give train, test or label, or one of auto, flat, classes")
        try:
            re.compile(self.label or "")
        except re.error as error:
            raise ValueError(f"label is no regular expression: {error}") from None
        return self
