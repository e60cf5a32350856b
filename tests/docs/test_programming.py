"""The programming guide names the fields, targets and error codes of the layout."""

import re
from pathlib import Path

import pytest

from model.cta.job import ErrorCode, Saturation
from model.cta.layout import JOB_FIELDS, LOAD_FIELDS, STATUS_FIELDS, Target

GUIDE = (Path(__file__).parents[2] / "docs" / "programming.md").read_text()
WORDS = set(re.findall(r"\w+", GUIDE))


@pytest.mark.parametrize("fields", [LOAD_FIELDS, JOB_FIELDS, STATUS_FIELDS],
                         ids=["load", "job", "status"])
def test_fields(fields):
    assert [name for name, _ in fields if name.removeprefix("sat_") not in WORDS] == []


@pytest.mark.parametrize("numbers", [Target, ErrorCode])
def test_numbers(numbers):
    listed = [f"{int(v)} {v.name}" for v in numbers if v != 0 or numbers is Target]
    assert [text for text in listed if text not in GUIDE] == []


def test_saturations_in_order():
    names = ", ".join(kind.name.lower() for kind in Saturation)
    assert names in " ".join(GUIDE.split())
