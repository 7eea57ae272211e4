"""Names that print alike and are not the same: the message shows what differs.

Accents that are composed or apart (NFC, NFD), letters of other scripts, spaces, invisible characters.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable

# Letters of Cyrillic and Greek that look like Latin ones (Unicode's confusables.txt has them all).
_LETTERS = str.maketrans(
    "аеорсухіјѕһԁԛԝѵАВЕКМНОРСТУХІЈЅҮԚԜΑΒΕΖΗΙΚΜΝΟΡΤΥΧονι",
    "aeopcyxijshdqwvABEKMHOPCTYXIJSYQWABEZHIKMNOPTYXovi",
)


def printed(name: str) -> str:
    """Return a name as it looks: without what is invisible, all spaces one, lookalikes as Latin letters."""
    if name.isascii():  # as most are: the account looks at the name of every image
        return " ".join(name.split())
    visible = "".join(
        char for char in unicodedata.normalize("NFKC", name) if unicodedata.category(char) != "Cf"
    )
    return " ".join(visible.translate(_LETTERS).split())


def quoted(names: Iterable[str], beside: Collection[str] = ()) -> list[str]:
    """Return names in quotes, those in escapes that print like another one, of these or of ``beside``."""
    names = list(names)
    looks = Counter(printed(name) for name in {*names, *beside})
    return [ascii(name) if looks[printed(name)] > 1 else repr(name) for name in names]


def twins(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of different names that print alike, sorted, each in escapes."""
    firsts: dict[str, str] = {}
    groups: dict[str, set[str]] = {}
    for name in names:
        look = printed(name)
        if (first := firsts.setdefault(look, name)) != name:
            groups.setdefault(look, {first}).add(name)
    return sorted([ascii(name) for name in sorted(group)] for group in groups.values())
