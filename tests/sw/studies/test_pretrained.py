"""The command on a small random BERT, from the text file to the results."""

import json

import pytest
import torch
import torch.nn.functional as F
import transformers

from model.cta.config import CTAConfig
from sw.io.errors import InputError
from sw.nn.attachment import attention_layers, detach
from sw.policy.plan import Policy, layer_cycles
from sw.studies.pretrained import __main__ as pretrained
from sw.studies.pretrained.folder import embed, load, read_text, save, states
from sw.studies.pretrained.passages import split
from sw.studies.pretrained.similarity import POINTS, Bench

WORDS = [f"w{i}" for i in range(40)]
N = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random BERT of two layers with a word-level tokenizer."""
    path = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "=", *WORDS]
    (path / "vocab.txt").write_text("\n".join(vocab))
    config = transformers.BertConfig(
        vocab_size=len(vocab), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=N, initializer_range=0.5)
    transformers.BertModel(config).save_pretrained(path)
    transformers.BertTokenizer(str(path / "vocab.txt")).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Ten documents of two passages each."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    g = torch.Generator().manual_seed(0)
    lines = []
    for _ in range(10):
        lines.append("= w0 =")
        lines.append(" ".join(WORDS[i] for i in torch.randint(40, (70,), generator=g)))
    path.write_text("\n".join(lines))
    return path


def flags(folder, text, out, *more):
    return [str(folder), "--text", str(text), "--documents", "^= .* =$", "--tokens", str(N),
            "--b", "2", "-o", str(out), *more]


def test_parts_of_a_text_are_disjoint_and_in_order(tmp_path):
    path = tmp_path / "t.txt"
    documents = [list(range(100 * i, 100 * i + 25)) for i in range(10)]
    path.write_text("\n".join("# " + " ".join(map(str, d)) for d in documents))
    got = split(path, lambda part: [int(w) for w in part.split()[1:]], 10, before=[7], after=[8, 9],
                documents="^# ", per_document=2)
    # Seven tokens beside the special ones; documents 2 and 7 are the test, 0 calibration.
    assert got.calibration.tolist() == [[7, *range(7), 8, 9], [7, *range(7, 14), 8, 9]]
    assert got.test.tolist() == [[7, *range(s, s + 7), 8, 9] for s in (200, 207, 700, 707)]
    assert got.starts.tolist() == [True, False, True, False]
    assert list(got.training) == sum((documents[i] for i in (1, 3, 4, 5, 6, 8, 9)), [])
    sample = got.sample(50, torch.Generator().manual_seed(0))
    assert sample.shape == (50, 10) and set(sample[:, 0].tolist()) == {7}
    assert set(sample[:, 1:8].flatten().tolist()) <= set(got.training)


def test_text_without_documents_is_cut_into_equal_parts(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text(" ".join(map(str, range(600))))
    got = split(path, lambda part: [int(w) for w in part.split()], 5)
    assert got.calibration[:, 0].tolist() == [100 * i + j for i in range(6) for j in (0, 5)]
    assert got.test[:3].tolist() == [[*range(20, 25)], [*range(25, 30)], [*range(70, 75)]]


def test_text_that_will_not_do(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("1 2 3")
    with pytest.raises(InputError, match="has 0 documents of 5 tokens or more"):
        split(path, str.split, 5)
    with pytest.raises(InputError, match="no regular expression"):
        split(path, str.split, 5, documents="(")
    with pytest.raises(InputError, match="tokens is 2, must be above 2"):
        split(path, str.split, 2, before=[1], after=[1])
    with pytest.raises(InputError, match="No such file"):
        split(tmp_path / "none", str.split, 5)


def test_embedding_is_the_masked_mean(folder):
    model = transformers.AutoModel.from_pretrained(folder).eval()
    attached = load(folder)[0]
    ids = torch.randint(6, 46, (3, N), generator=torch.Generator().manual_seed(0))
    valid = torch.arange(N) < torch.tensor([[N], [20], [1]])
    with torch.no_grad():
        got = states(attached, ids, valid)
        for row in range(3):
            k = int(valid[row].sum())
            last = model(input_ids=ids[row:row + 1, :k]).last_hidden_state[0]
            assert torch.allclose(got.output[row], F.normalize(last.sum(0) / k, dim=0), atol=1e-5)
    assert len(got.hidden) == 2
    assert torch.allclose(embed(attached, ids, 2), states(attached, ids).output, atol=1e-6)


def test_measure_against_loops(folder, text):
    model = load(folder)[0]
    passages = read_text(folder, text, N, "^= .* =$", 2)
    cfg = CTAConfig(b=2, d=8, dw=16, n=N)
    exact = embed(model, passages.test)
    bench = Bench(model, cfg, passages, exact, lambda row: None)
    bench.put(POINTS[1], late=1)
    bench.row(weights="w", directions="d", layers="l", point="p")
    row = bench.rows[0]
    first, last = attention_layers(model).values()
    assert (first.mode, last.mode) == ("exact", "cta")

    cosines, counts = [], []
    with torch.no_grad():
        for one, want in zip(passages.test, exact):
            mean = model(input_ids=one[None]).last_hidden_state[0].mean(0)
            cosines.append(float(mean @ want / mean.norm() / want.norm()))
            counts.append(last.counts[0].double() / N)
    k0, k1, k2 = torch.stack(counts).mean(0).tolist()
    assert row.cosine == pytest.approx(sum(cosines) / len(cosines), abs=1e-5)
    assert row.lowest == pytest.approx(min(cosines), abs=1e-5)
    assert row.starts == pytest.approx(sum(cosines[::2]) / len(cosines[::2]), abs=1e-5)
    assert row.rl == pytest.approx((1 + (k0 + 2 * (k1 + k2)) / 3) / 2)
    whole = layer_cycles(cfg, N, 2, None)
    assert row.share == pytest.approx(
        (whole + layer_cycles(cfg, N, 2, (k0, k1, k2))) / (2 * whole))


def test_saved_folder_comes_back(folder, tmp_path):
    model = load(folder, seed=3)[0]
    passages = torch.randint(6, 46, (4, N), generator=torch.Generator().manual_seed(0))
    from sw.policy.plan import CANDIDATES, calibrated
    names = list(attention_layers(model))
    policy, _ = calibrated(model, lambda: embed(model, passages), CTAConfig(b=2, d=8, dw=16, n=N),
                           N, dict(zip(names, (CANDIDATES[0], CANDIDATES[2]))))
    save(model, policy, tmp_path / "s", folder)
    again, its = load(tmp_path / "s")
    assert its == policy
    assert torch.equal(embed(again, passages), embed(model, passages))
    # And any Hugging Face program reads it, exact.
    plain = transformers.AutoModel.from_pretrained(tmp_path / "s").eval()
    detach(model)
    with torch.no_grad():
        assert torch.equal(plain(input_ids=passages).last_hidden_state,
                           model(input_ids=passages).last_hidden_state)


def test_command(folder, text, tmp_path, capsys):
    out, student = tmp_path / "out", tmp_path / "student"
    assert pretrained.main(flags(folder, text, out, "--max-error", "0.01", "0.1", "--distil", "2",
                                 "--save", str(student), "--learned")) == 0
    results = json.loads((out / "results.json").read_text())
    assert [row["layers"] for row in results["rows"]] == [*(["all"] * 4 + ["last 1"] * 3) * 2,
                                                          "policy", "policy", "policy"]
    assert [row["point"] for row in results["rows"]][-3:] == ["e 0.01", "e 0.1", "e 0.01"]
    assert [row["weights"] for row in results["rows"]][-1] == "distilled"
    for row in results["rows"]:
        assert -1 <= row["lowest"] <= row["cosine"] <= 1.0001 and 0 < row["share"] < 2
    assert len(results["distillation"]) == 2
    exact = embed(load(folder)[0], read_text(folder, text, N, "^= .* =$", 4).test).double()
    pairs = [float(a @ b) for i, a in enumerate(exact) for j, b in enumerate(exact) if i != j]
    assert results["unrelated"] == pytest.approx(sum(pairs) / len(pairs), abs=1e-5)
    assert list(results["alone"]) == [c.layer for c in Policy.load(out / "policy.json").choices]
    # What was saved is what was measured, and goes on from there.
    assert pretrained.main(flags(student, text, tmp_path / "again", "--exact", str(folder),
                                 "--no-table", "--beside", str(out / "results.json"))) == 0
    row = json.loads((tmp_path / "again" / "results.json").read_text())["rows"][0]
    assert row["cosine"] == pytest.approx(results["rows"][-1]["cosine"], abs=1e-6)
    if (out / "similarity.png").exists():
        assert (tmp_path / "again" / "similarity.png").stat().st_size > 1000


@pytest.mark.parametrize("more, words", [
    (["--batch", "0"], "batch is 0, must be at least 1"),
    (["--late", "3"], "late is 3, must be in 0..2"),
    (["--policy", "none.json"], "none.json: No such file"),
    (["--beside", "none.json"], "none.json: No such file"),
    (["--exact", "/nowhere"], "/nowhere has no config.json"),
    (["--rate", "-1", "--distil", "1", "--no-table"], "rate is -1.0, must be above 0"),
    (["--tokens", "33"], "tokens is 33, must be at most 32"),
])
def test_bad_input_is_one_line(more, words, folder, text, tmp_path, capsys):
    assert pretrained.main(flags(folder, text, tmp_path, *more)) == 2
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert err.startswith("sw.studies.pretrained: ") and words in err


def test_bad_flags_and_folders(folder, text, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        pretrained.main([str(folder)])
    assert stop.value.code == 2
    assert pretrained.main(flags(tmp_path, text, tmp_path)) == 2
    assert "has no config.json" in capsys.readouterr().err
    assert pretrained.main(flags(folder, tmp_path / "none", tmp_path)) == 2
    assert "No such file" in capsys.readouterr().err
