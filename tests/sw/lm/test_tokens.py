"""Bytes, byte pairs and word pieces."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the sw extra")

from sw.io.errors import InputError
from sw.lm.tokens import ByteTokens, load_tokens, train_tokens

TEXT = ("def join(parts):\n    return ''.join(parts)\n\nclass Größe:\n\tpass\n" * 20).encode()


def test_bytes_are_themselves(tmp_path):
    tokens = ByteTokens()
    ids = tokens.encode(TEXT)
    assert bytes(ids.astype(np.uint8)) == TEXT and tokens.decode(ids) == TEXT.decode()
    assert tokens.vocab == 257 and tokens.mask == 256
    assert tokens.decode([104, 105, 256]) == "hi\ufffd"
    tokens.save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_byte_pairs_lose_nothing_and_travel(tmp_path):
    pytest.importorskip("tokenizers", reason="needs the sw extra")
    tokens = train_tokens("bpe", 320, [TEXT])
    ids = tokens.encode(TEXT)
    assert len(ids) < len(TEXT) / 2 and ids.max() < tokens.vocab <= 320
    assert tokens.decode(ids) == TEXT.decode()
    assert tokens.mask not in ids
    tokens.save(tmp_path)
    again = load_tokens("bpe", tmp_path)
    assert (again.encode(TEXT) == ids).all() and again.mask == tokens.mask
    # A text it has not seen still has a code: all bytes are in the vocabulary.
    assert again.decode(again.encode("é\x00€".encode())) == "é\x00€"
    assert len(again.encode(b"")) == 0


def test_word_pieces(tmp_path):
    pytest.importorskip("tokenizers", reason="needs the sw extra")
    tokens = train_tokens("wordpiece", 400, [TEXT])
    ids = tokens.encode(b"class join: pass")
    assert tokens.decode(ids).split() == ["class", "join", ":", "pass"]
    assert tokens.tokenizer.token_to_id("<unk>") in tokens.encode("漢".encode())


def test_training_is_the_same_every_time():
    pytest.importorskip("tokenizers", reason="needs the sw extra")
    one, two = (train_tokens("bpe", 320, [TEXT]) for _ in range(2))
    assert one.tokenizer.to_str() == two.tokenizer.to_str()


def test_bad_tokenizer_files(tmp_path):
    pytest.importorskip("tokenizers", reason="needs the sw extra")
    with pytest.raises(InputError, match="the checkpoint is incomplete"):
        load_tokens("bpe", tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match="is not a tokenizer"):
        load_tokens("bpe", tmp_path)
