"""Repeated images: exact or near, in both halves, or under two labels."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Offenders:
    """Rows of the manifest that a figure counts, in its order.

    ``by``: the column by whose value each belongs with other rows, which are shown beside it.
    """

    rows: pd.DataFrame
    by: str | None = None

    def groups(self, accepted: pd.DataFrame, most: int, each: int) -> list[pd.DataFrame]:
        """Return the first ``most`` rows, or where they belong together groups of at most ``each``.

        Of a group the first of each half come first: a leak is seen as a pair.
        """
        if self.by is None:
            return [self.rows[index : index + 1] for index in range(min(most, len(self.rows)))]
        wanted = list(dict.fromkeys(self.rows[self.by].head(50 * most)))[:most]
        offending = accepted[accepted[self.by].isin(wanted)]
        rank = offending.groupby([self.by, "split"]).cumcount()
        by_rank = offending.assign(rank=rank).sort_values("rank", kind="stable").drop(columns="rank")
        grouped = by_rank.groupby(self.by)
        return [grouped.get_group(value).head(each) for value in wanted]


def repeats(good: pd.DataFrame, labelled: bool) -> dict[str, Offenders]:
    """Find repeated images among the accepted ones, by the name of the figure that counts them.

    duplicates, near_duplicates: images that are not the first of their kind. leaked, near_leaked: test
    images that (nearly) stand in train. relabelled: images whose pixels stand under two labels.
    """
    offenders = {}
    for kind, column in (("", "pixels_sha256"), ("near_", "near_group")):
        known = good[good[column].notna()]
        offenders[f"{kind}duplicates"] = Offenders(known[known[column].duplicated()], column)
        train, test = known[known["split"] == "train"], known[known["split"] == "test"]
        offenders[f"{kind}leaked"] = Offenders(test[test[column].isin(train[column])], column)
    if labelled:
        twice = good[good["pixels_sha256"].notna() & good["pixels_sha256"].duplicated(keep=False)]
        labels = twice.groupby("pixels_sha256")["label"].nunique()
        two = twice["pixels_sha256"].isin(labels.index[labels > 1])
        offenders["relabelled"] = Offenders(twice[two], "pixels_sha256")
    return offenders
