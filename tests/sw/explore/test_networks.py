import json
import re
from pathlib import Path

import pytest

from sw.explore.networks import KNOWN, network, with_policy
from sw.io.errors import InputError
from sw.policy.candidates import CANDIDATES

ROOT = Path(__file__).resolve().parents[3]


def test_what_is_known_of_minilm_is_what_the_page_says():
    """Each figure of the table of docs/pretrained.md, in its row and column."""
    page = (ROOT / "docs" / "pretrained.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d) \| ([0-9. |]+) \|$", page, re.M)
    table = {int(layer): [float(value) for value in values.split("|")] for layer, values in rows}
    assert len(table) == 6
    for layer, options in enumerate(KNOWN["minilm"].options):
        assert [candidate for candidate, _ in options] == list(CANDIDATES)
        assert [error for _, error in options] == [0.0, *table[layer]]


def test_what_was_not_measured_says_so():
    net = KNOWN["bert-large"]
    assert (net.layers, net.heads, net.d, net.dw, net.uniform) == (24, 16, 64, 1024, True)
    assert "not measured for this network" in net.basis
    assert [(each.name, error) for each, error in net.options[0]] == [
        ("exact", 0.0), ("CTA-0", 0.0), ("CTA-0.5", 0.005), ("CTA-1", 0.01)]


def test_a_folder(tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"hidden_size": 256, "num_attention_heads": 8, "num_hidden_layers": 3}))
    net = network(str(tmp_path))
    assert (net.layers, net.heads, net.d, net.dw, net.source) == (3, 8, 32, 256, str(tmp_path))
    for text, wrong in (("{", "is no configuration"), ("{}", "is no configuration"),
                        ('{"hidden_size": 4096, "num_attention_heads": 8, "num_hidden_layers": 3}',
                         "hidden_size is 4096, must be in 1..2048"),
                        ('{"hidden_size": 250, "num_attention_heads": 8, "num_hidden_layers": 3}',
                         "hidden_size is 250, must be a multiple of num_attention_heads = 8")):
        config.write_text(text)
        with pytest.raises(InputError, match=wrong):
            network(str(tmp_path))
    with pytest.raises(InputError, match="model is 'gpt', must be one of minilm, bert-base"):
        network("gpt")


def test_a_policy_that_was_measured(tmp_path):
    """As ``sw.policy.plan.Policy`` writes it."""
    path, net = tmp_path / "policy.json", KNOWN["minilm"]
    choice = {"layer": "a", "candidate": "CTA-1", "fractions": [0.4, 0.42, 0.05], "w": [1, 1, 1], "cycles": 3}
    exact = choice | {"candidate": "exact", "w": None, "fractions": [1, 1, 0]}
    path.write_text(json.dumps({"error": 0.03, "choices": [choice] * 5 + [exact]}))
    found = with_policy(net, path)
    assert [[each.name for each, _ in layer] for layer in found.options] == [["CTA-1"]] * 5 + [["exact"]]
    assert found.options[0][0][0].fractions == (0.4, 0.42, 0.05) and found.options[5][0][0].fractions is None
    assert sum(layer[0][1] for layer in found.options) == pytest.approx(0.03)
    for data, wrong in (({"error": 0.1, "choices": [choice]}, "has 1 layers, MiniLM has 6"),
                        ({"error": None, "choices": [choice] * 6}, "has no measured error"),
                        ([], "is no policy")):
        path.write_text(json.dumps(data))
        with pytest.raises(InputError, match=wrong):
            with_policy(net, path)
