"""The Python of the README runs as it stands, and leaves the model on the engine."""

import re
from pathlib import Path

import torch
import transformers

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_a_model_of_your_own(tmp_path, monkeypatch, capsys):
    block, = re.findall(r"```python\n(.*?)```", README, re.S)
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=1000, hidden_size=32, num_hidden_layers=1,
                                     num_attention_heads=2, intermediate_size=32)
    transformers.BertModel(config).save_pretrained(tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    names = {}
    with torch.no_grad():
        exec(block, names)
        model, ids = names["model"], names["ids"][:1, :64]
        on_engine = model(ids).last_hidden_state
        names["sw"].quantise_model(model, [names["ids"]])
        assert torch.equal(model(ids).last_hidden_state, on_engine)
    printed = capsys.readouterr().out
    assert "1 of 2 parts replaced" in printed and "quantised 1 of 1 layers" in printed
    assert (tmp_path / "export" / "manifest.json").is_file()
