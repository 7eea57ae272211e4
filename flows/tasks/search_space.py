"""The trials of a sweep: a grid of values, or random draws from lists and intervals.

The syntax is Hydra's, as in `dvc exp run --queue -S`: `train.seed=0,1`, `train.seed=range(0,4)`,
`train.learning_rate=interval(1e-4,1e-3)`, `train.learning_rate=tag(log, interval(1e-5,1e-3))`.
"""

import hashlib
import itertools
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    OverrideType,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException

from flows.orchestration.secrets import hidden_values, plain
from gan.errors import UserError
from gan.urls import redacted

MOST = 10_000  # trials
DIGITS = 4  # of a number drawn from an interval


@dataclass(frozen=True)
class Plan:
    """One trial: its name, and the params it sets, by their full names."""

    name: str
    values: dict[str, Any]

    def describe(self) -> str:
        """Return the params in one line."""
        return ", ".join(f"{key} {redacted(plain(value))}" for key, value in self.values.items())


def grid(texts: Sequence[str], name: str) -> list[Plan]:
    """Return every combination of the values. Raises UserError."""
    choices = {}
    for key, value in _parse(texts).items():
        if isinstance(value, IntervalSweep):
            raise UserError(f"{key}: an interval has no end of values; list them, or --random N")
        choices[key] = _values(key, value)
    if math.prod(map(len, choices.values())) > MOST:
        raise UserError(f"the grid has more than {MOST} trials; --random N tries some of them")
    combinations = (
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    )
    return _distinct(combinations, name, MOST)


def draw(texts: Sequence[str], name: str, count: int, seed: int) -> list[Plan]:
    """Return ``count`` different random draws, or fewer if there are fewer. Raises UserError."""
    if not 0 < count <= MOST:
        raise UserError(f"--random {count}: a number of trials, 1 to {MOST}")
    rng, parsed = random.Random(seed), _parse(texts)  # noqa: S311 - not for secrets
    listed = {key: _values(key, v) for key, v in parsed.items() if not isinstance(v, IntervalSweep)}

    def one(key: str) -> Any:
        value = parsed[key]
        return _between(key, value, rng) if isinstance(value, IntervalSweep) else rng.choice(listed[key])

    return _distinct(({key: one(key) for key in parsed} for _ in range(100 * count)), name, count)


def _parse(texts: Sequence[str]) -> dict[str, Any]:
    choices: dict[str, Any] = {}
    for text in texts:
        try:
            override: Override = OverridesParser.create().parse_override(text)
        except HydraException as error:
            raise UserError(f"{text}: {str(error).splitlines()[0]}; such as train.seed=0,1") from None
        if override.type is not OverrideType.CHANGE or "@" in text.partition("=")[0]:
            raise UserError(f"{text}: a sweep only changes params that are there; NAME=VALUE,VALUE")
        if override.key_or_group in choices:
            raise UserError(f"{override.key_or_group}: stands twice; keep one")
        choices[override.key_or_group] = override._value
    if not choices:
        raise UserError("nothing to try; give params, such as train.seed=0,1")
    return choices


def _values(key: str, value: Any) -> list[Any]:
    if isinstance(value, ChoiceSweep):
        return [_plain(item) for item in value.list]
    if isinstance(value, RangeSweep):
        values = list(itertools.islice(value.range(), MOST + 1))
        if not values:
            raise UserError(f"{key}: an empty range")
        return values
    return [_plain(value)]


def _plain(value: Any) -> Any:
    return value.text if isinstance(value, QuotedString) else value


def _between(key: str, interval: IntervalSweep, rng: random.Random) -> float:
    low, high = float(interval.start or 0), float(interval.end or 0)
    if "log" in interval.tags:
        if low <= 0:
            raise UserError(f"{key}: a logarithmic interval begins above 0, not at {low:g}")
        number = math.exp(rng.uniform(math.log(low), math.log(high)))
    else:
        number = rng.uniform(low, high)
    return float(f"{number:.{DIGITS}g}")


def _distinct(draws: Any, name: str, most: int) -> list[Plan]:
    """Name trials after their values, so that a restarted sweep recognises finished trials."""
    plans: dict[str, Plan] = {}
    for values in draws:
        text = json.dumps(values, sort_keys=True)
        key = f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        plans.setdefault(key, Plan(key, hidden_values(values)))
        if len(plans) == most:
            break
    return list(plans.values())
