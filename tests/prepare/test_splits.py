from hypothesis import given, settings
from hypothesis import strategies as st

from gan.prepare import splits


def hold_out(pixels, labels, fraction, seed):
    return splits.hold_out(pixels, pixels, labels, fraction, seed)


pairs = st.lists(st.tuples(st.integers(0, 30).map(str), st.sampled_from(["a", "b"])), max_size=60)


@settings(deadline=None)
@given(pairs, st.floats(0.01, 0.99), st.integers(0, 9), st.randoms())
def test_equal_images_never_straddle_and_order_does_not_matter(rows, fraction, seed, random):
    halves = hold_out([r[0] for r in rows], [r[1] for r in rows], fraction, seed)
    of = dict(zip((r[0] for r in rows), halves, strict=True))
    assert [of[r[0]] for r in rows] == halves
    random.shuffle(rows)
    assert hold_out([r[0] for r in rows], [r[1] for r in rows], fraction, seed) == [of[r[0]] for r in rows]


@settings(deadline=None)
@given(st.integers(2, 300), st.floats(0.01, 0.99))
def test_the_share_is_kept_in_each_class_and_both_halves_have_some(count, fraction):
    pixels, labels = [str(i) for i in range(2 * count)], ["a"] * count + ["b"] * count
    halves = hold_out(pixels, labels, fraction, 0)
    for labels_of_half in (halves[:count], halves[count:]):
        held = labels_of_half.count("test")
        assert 1 <= held < count
        assert held == min(count - 1, max(1, round(fraction * count)))


def test_another_seed_holds_out_others():
    pixels = [str(i) for i in range(100)]
    assert hold_out(pixels, [None] * 100, 0.2, 0) != hold_out(pixels, [None] * 100, 0.2, 1)


def test_one_image_trains():
    assert hold_out(["x", "x"], [None, None], 0.5, 0) == ["train", "train"]


@settings(deadline=None)
@given(st.lists(st.integers(0, 8).map(str), min_size=2, max_size=80), st.floats(0.01, 0.99))
def test_groups_stay_together_and_the_share_is_kept_as_far_as_they_allow(groups, fraction):
    pixels = [str(i) for i in range(len(groups))]
    halves = splits.hold_out(pixels, groups, [None] * len(groups), fraction, 0)
    assert len(set(zip(groups, halves, strict=True))) == len(set(groups))
    held = halves.count("test")
    if len(set(groups)) == 1:
        assert held == 0
    elif held > max(1, round(fraction * len(groups))):  # every group is larger than that
        assert held == min(map(groups.count, groups))
    else:
        assert 1 <= held < len(groups)


def test_a_large_group_does_not_fill_the_test_half():
    groups = ["big"] * 60 + [str(i) for i in range(40)]
    for seed in range(20):
        halves = splits.hold_out([str(i) for i in range(100)], groups, [None] * 100, 0.2, seed)
        assert halves.count("test") == 20 and halves[0] == "train"
