"""The programming guide has the fields, targets and error codes of the layout, widths included."""

from pathlib import Path

import pytest

from model.cta.job import ErrorCode
from model.cta.layout import JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS, Target

GUIDE = (Path(__file__).parents[2] / "docs" / "programming.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in GUIDE.split("\n## ")}


@pytest.mark.parametrize("section, fields", [("Loads", LOAD_FIELDS), ("Jobs", JOB_FIELDS),
                                             ("Status", STATUS_FIELDS)])
def test_fields(section, fields):
    """Rows come in the order of the word; a run of counters may be given by its ends."""
    rows = {}
    for line in SECTIONS[section].splitlines():
        cells = line.split("|")
        if line.startswith("| `"):
            for name in cells[1].replace("…", ",").replace("`", "").split(","):
                rows[name.strip()] = int(cells[2].split()[0])
    rows = {name: width for name, width in rows.items() if name}
    listed = [(name, width) for name, width in fields if name in rows]
    assert listed == list(rows.items())
    missing = [name for name, _ in fields if name not in rows]
    assert all(name.startswith("sat_") for name in missing)


def test_targets_and_errors():
    for target in Target:
        assert target.name in SECTIONS["Loads"]
    for code in ErrorCode:
        assert code == ErrorCode.NONE or f"{int(code)} {code.name}" in SECTIONS["Status"]
