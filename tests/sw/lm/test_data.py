"""Text to batches: what is read, how it is split, how it is masked."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the sw extra")

from sw.io.errors import InputError
from sw.lm.config import DataConfig
from sw.lm.data import fixed_sample, load_corpus, read_documents, sample, split
from sw.lm.tokens import ByteTokens

TOKENS = ByteTokens()


def test_folders_give_files_by_suffix_in_order(tmp_path):
    for name, content in (("b.txt", "b"), ("a.py", "a"), ("x.bin", "x"), ("empty.txt", ""),
                          ("sub/c.txt", "c"), (".git/d.txt", "d")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    documents, name = read_documents(DataConfig(text=(str(tmp_path),)))
    assert documents == [("a.py", b"a"), ("b.txt", b"b"), ("sub/c.txt", b"c")]
    assert name == tmp_path.name
    only, _ = read_documents(DataConfig(text=(str(tmp_path / "x.bin"),)))
    assert only == [("x.bin", b"x")]            # a file that is named is taken whatever its suffix


def test_default_text_is_pythons_library():
    documents, name = read_documents(DataConfig())
    names = [n for n, _ in documents]
    assert "argparse.py" in names and "json/decoder.py" in names
    assert not any("site-packages" in n or n.startswith("test/") for n in names)
    assert name == "Python standard library sources"


def test_missing_and_empty_text(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_documents(DataConfig(text=(str(tmp_path / "no"),)))
    with pytest.raises(InputError, match="the text is empty"):
        read_documents(DataConfig(text=(str(tmp_path),)))
    (tmp_path / "a.txt").write_text("too short")
    with pytest.raises(InputError, match="held-out text has 1 tokens, must have at least"):
        load_corpus(DataConfig(text=(str(tmp_path),), held_out=0.1), 8)


def test_one_file_is_cut_at_its_end():
    train, held_out = split([("one", bytes(range(100)))], 0.05)
    assert (train, held_out) == ([bytes(range(95))], [bytes(range(95, 100))])


def test_many_files_are_held_out_whole_and_independently_of_each_other():
    documents = [(f"file{i}.py", b"%03d" % i) for i in range(200)]
    train, held_out = split(documents, 0.1)
    assert sorted(train + held_out) == [c for _, c in documents]        # disjoint, nothing lost
    assert 10 <= len(held_out) <= 40
    again = split(documents[:150], 0.1)[1]
    assert set(again) == set(held_out) & {c for _, c in documents[:150]}


def test_masking_counts_and_kinds():
    stream = np.tile(np.arange(200, dtype=np.uint16), 5)
    masked = sample(stream, TOKENS, 512, 0.15, seed=1, step=2, places=range(300))
    assert masked.ids.shape == masked.where.shape == (300, 512)
    assert (masked.where.sum(1) == 77).all() and masked.target.shape == (300, 77)
    clean = masked.ids.copy()
    clean[masked.where] = masked.target.ravel()
    # Every sequence is a window of the stream, in which neighbours differ by one.
    assert (np.diff(clean, axis=1) % 200 == 1).all()
    shown = masked.ids[masked.where]
    is_mask = shown == TOKENS.mask
    same = shown == masked.target.ravel()
    assert abs(is_mask.mean() - 0.8) < 0.01
    assert abs(same.mean() - (0.1 + 0.1 / 256)) < 0.01
    assert shown[~is_mask].max() <= 255
    # All places of a sequence are masked alike often.
    assert abs(masked.where.mean(0) - 77 / 512).max() < 0.1


def test_batches_are_functions_of_seed_step_and_place():
    stream = np.random.default_rng(0).integers(256, size=5000).astype(np.uint16)
    whole = sample(stream, TOKENS, 64, 0.15, 3, 7, range(6))
    part = sample(stream, TOKENS, 64, 0.15, 3, 7, range(2, 5))
    assert (part.ids == whole.ids[2:5]).all() and (part.target == whole.target[2:5]).all()
    for seed, step in ((4, 7), (3, 8)):
        assert (sample(stream, TOKENS, 64, 0.15, seed, step, range(6)).ids != whole.ids).any()
    fixed = [fixed_sample(stream, TOKENS, 64, 0.15, count) for count in (3, 5)]
    assert (fixed[0].ids == fixed[1].ids[:3]).all()


def test_every_window_can_come_up():
    stream = np.arange(10, dtype=np.uint16)
    starts = {int(sample(stream, TOKENS, 8, 0.01, 0, s, range(1)).target[0, 0]) for s in range(200)}
    assert starts == set(range(10))


def test_corpus_of_a_file(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(bytes(range(200)) * 5)
    corpus = load_corpus(DataConfig(text=(str(file),)), 32)
    assert (len(corpus.train), len(corpus.held_out), corpus.size) == (950, 50, 1000)
    assert corpus.name == "a.txt"
    other = load_corpus(DataConfig(text=(str(file),), held_out=0.06), 32)
    assert corpus.digest != other.digest
