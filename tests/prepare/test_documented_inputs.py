from tests.conftest import ROOT
from tests.prepare.documented_inputs import page


def test_the_table_of_inputs_is_what_comes_of_them():
    written = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
    assert page() == written, "python -m tests.prepare.documented_inputs > docs/inputs.md"
