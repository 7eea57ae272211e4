"""Names of bytes are DVC's own."""

from collections.abc import Callable

from flows.repo import cache_objects
from flows.repo.lock_file import read_record
from tests.flows.harness import Toy

STAGE = "stages:\n  only:\n    cmd: echo > out\n    deps: [code]\n    outs: [out]\n"


def test_a_folder_that_a_stage_reads_has_the_hash_that_dvc_gives_it(make: Callable[..., Toy]) -> None:
    toy = make()
    (toy.root / "dvc.yaml").write_text(
        "stages:\n  s:\n    cmd: echo > out\n    deps: [code]\n    outs: [out]\n"
    )
    (toy.root / ".dvcignore").write_text("__pycache__\n")
    for name in ("b.py", "a/z.py", "a-b.py", "a/__pycache__/z.pyc", "__pycache__/b.pyc", "ü.txt"):
        path = toy.root / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    toy.dvc("repro", "-q")
    recorded = read_record((toy.root / "dvc.lock").read_bytes(), "dvc.lock").sources()
    assert recorded == {"code": cache_objects.md5_source(toy.root / "code")}
    (toy.root / "code" / "a" / "z.py").write_text("other")
    assert recorded != {"code": cache_objects.md5_source(toy.root / "code")}
