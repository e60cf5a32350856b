"""The demo prints the same figures on any machine, whatever path a CPU's libraries take and however
many threads there are; and docs/results/demo.md shows what it prints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the sw extra")
pytest.importorskip("matplotlib", reason="needs the plot extra")

ROOT = Path(__file__).resolve().parents[3]
PATHS = {
    "SSE, one thread": {
        "OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default", "OPENBLAS_CORETYPE": "Prescott",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41", "OPENBLAS_NUM_THREADS": "1"},
    "AVX2, two threads": {
        "OMP_NUM_THREADS": "2", "ATEN_CPU_CAPABILITY": "avx2", "OPENBLAS_CORETYPE": "Haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2", "MKL_CBWR": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "as it comes": {},
}
ENCODER = "from sw.demo import encoder; encoder.show({folder!r}, 'none', passages={passages})"


def printed(code, environment):
    """Standard output of Python code under other choices of the numerical libraries."""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, check=True,
                         env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    return run.stdout


def rows(text):
    """Lines of a table without the column that tells of the RTL."""
    return [line.split()[:-2] if line.endswith("not run") else line.split()[:-1]
            for line in text.splitlines() if line[:2].strip().isdigit()]


@pytest.mark.reliability
def test_the_encoder_is_the_same_on_every_path(tmp_path, tried):
    code = ENCODER.format(folder=str(tmp_path), passages=1)
    found = {name: printed(code, environment) for name, environment in list(PATHS.items())[:2]}
    first, *others = found.values()
    assert len(rows(first)) == 9
    for other in others:
        assert other == first
    page = (ROOT / "docs" / "results" / "demo.md").read_text("utf-8")
    readme = [line.split()[:-1] for line in page.splitlines()
              if line.startswith("    ") and line.split()[1:2] in (["attention"], ["LookupFFN"],
                                                                  ["whole"])]
    if sys.version_info[:2] == (3, 11):      # another Python has another library, which is the text
        assert rows(first) == readme
    tried("same figures: CPU paths", paths=len(found), layers=9 * len(found))


@pytest.mark.reliability
@pytest.mark.nightly
def test_the_whole_demo_is_the_same_on_every_path(tmp_path, tried):
    code = f"from sw.demo import head; head.main(['--rtl', 'none', '-o', {str(tmp_path)!r}])"
    found = {name: printed(code, environment) for name, environment in PATHS.items()}
    assert len(set(found.values())) == 1, {name: text[-900:] for name, text in found.items()}
    tried("same figures: CPU paths", paths=len(found), demos=len(found))
