import pytest

from gan.errors import UserError
from gan.files import sha256_file
from gan.validate.reference_manifest import read_reference
from tests.data.example_manifests import manifest, refuse


def test_the_accepted_images_of_an_earlier_manifest(tmp_path):
    frame = manifest(20)
    refuse(frame, [3, 4])
    path = tmp_path / "earlier.parquet"
    frame.to_parquet(path)
    reference = read_reference(str(path))
    assert len(reference.frame) == 18 and reference.sha256 == sha256_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; `dvc get "),
        (b"PAR1", "not a manifest, nor any parquet file"),
        ("unrelated", "not a manifest; it lacks path, status or split"),
        ("refused", "has no image that was accepted"),
    ],
)
def test_a_file_that_is_none_is_one_line(tmp_path, content, message):
    path = tmp_path / "other.parquet"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        frame = manifest(9).assign(status="refused")
        (frame if content == "refused" else frame[["mean"]]).to_parquet(path)
    with pytest.raises(UserError) as caught:
        read_reference(str(path))
    assert str(caught.value).startswith(f"validate.reference: {path}: {message}")
