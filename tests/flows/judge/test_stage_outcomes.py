"""What DVC's lines mean."""

from pathlib import Path

import pytest

from flows.judge.stage_outcomes import (
    FAILED,
    NOT_RUN,
    RAN,
    RESTORED,
    UNCHANGED,
    Outcome,
    PipelineFailed,
    Reader,
    summary,
)


def read(*lines: str) -> tuple[Reader, list[str]]:
    reader = Reader("train")
    return reader, [line for line in lines if reader.read(line)]


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("Stage 'train' didn't change, skipping", UNCHANGED),
        ("Stage 'train' is cached - skipping run, checking out outputs", RESTORED),
        ("Running stage 'train':", RAN),
        ("Running stage 'training':", ""),
    ],
)
def test_outcome(line: str, outcome: str) -> None:
    # What a stage prints itself comes later and changes nothing.
    assert read(line, "Stage 'train' is cached - skipping run, checking out outputs")[0].outcome in (
        outcome or RESTORED,
    )


def test_advice_is_not_shown() -> None:
    advice = [
        "",
        "To track the changes with git, run:",
        "\tgit add dvc.lock",
        "Updating lock file 'dvc.lock'",
    ]
    assert read(*advice, "Use `dvc push` to send your updates to remote storage.", "step 3")[1] == ["step 3"]


def test_reason_is_the_stage_s_own_line() -> None:
    start = ["Running stage 'train':", "> python -m gan.stages.train"]
    end = "ERROR: failed to reproduce 'train': failed to run: python -m gan.stages.train, exited with 1"
    for lines, status, reason in (
        ([*start, "error: no images; add some", "bye", end], 1, "no images; add some"),
        ([*start, "Traceback", "KeyError: 'x'", end], 1, "KeyError: 'x'"),
        ([*start, end], 1, end.removeprefix("ERROR: ")),
        (["ERROR: missing data"], 1, "missing data"),
        ([], 9, "dvc ended with status 9"),
    ):
        outcome = read(*lines)[0].failure(status, 1.5)
        assert (outcome.reason, outcome.outcome, outcome.seconds, outcome.passing) == (
            reason,
            FAILED,
            1.5,
            False,
        )
        assert outcome.tail == tuple(lines)
    away = [*start, "error: no download", end.replace("with 1", "with 75")]
    assert read(*away)[0].failure(255, 1.0).passing


def test_failure_names_each_stage_in_one_line() -> None:
    rows = [Outcome("a", RAN, 1.0), Outcome("b", FAILED, 2.0, "no room"), Outcome("c", NOT_RUN)]
    assert str(PipelineFailed(rows)) == "stage b failed: no room (so not run: c)"


def test_summary_names_only_what_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "grid.png").touch()
    assert "grid.png" not in summary([Outcome("train", NOT_RUN)], Path())  # that is of another run
    text = summary([Outcome("prepare", RESTORED, 1.24), Outcome("train", RAN, 2.0)], Path())
    assert text.splitlines() == [
        "",
        "  prepare  restored     1.2 s",
        "  train    ran          2.0 s",
        "",
        "  grid     samples/grid.png",
    ]


def test_where_dvc_fails_after_the_stage_its_own_error_is_the_reason() -> None:
    """A stage's last line is no reason; nor are its complaints, when it ended well."""
    ran = ("Running stage 'train':", "> python -m gan.stages.train", "train     see reports/index.html")
    dvc_line = "ERROR: failed to reproduce 'train': failed to run: python -m gan.stages.train, exited with 1"
    full = "ERROR: failed to reproduce 'train': [Errno 28] No space left on device: '/c/files/md5/ab'"
    for lines, expected in (
        ((*ran, dvc_line), "train see reports/index.html"),
        ((*ran, "error: no room", dvc_line), "no room"),
        ((*ran, full), "[Errno 28] No space left on device: '/c/files/md5/ab'"),
        ((*ran, "error: one of many", full), "[Errno 28] No space left on device: '/c/files/md5/ab'"),
        (
            (*ran, "ERROR: unexpected error - database or disk is full"),
            "unexpected error - .dvc/tmp: database or disk is full",
        ),
    ):
        assert read(*lines)[0].failure(1, 1.0).reason == expected
