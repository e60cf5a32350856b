"""Text to token numbers: bytes, byte pairs as RoBERTa's, word pieces as BERT's.

Byte pairs and word pieces are trained on the training text itself, so that nothing is
downloaded, and travel with the checkpoint as ``tokenizer.json``.
"""

from pathlib import Path
from typing import Protocol

import numpy as np

from sw.io.errors import InputError

__all__ = ["Tokens", "ByteTokens", "PieceTokens", "train_tokens", "load_tokens", "TOKENIZER"]

TOKENIZER = "tokenizer.json"
_MASK, _UNKNOWN = "<mask>", "<unk>"


class Tokens(Protocol):
    """What a model's tokens offer: ``vocab`` with the mask in it, ``mask`` its number."""

    vocab: int
    mask: int

    def encode(self, text: bytes) -> np.ndarray: ...

    def decode(self, ids) -> str: ...

    def save(self, folder) -> None: ...


class ByteTokens:
    """256 bytes, then the mask. Nothing is lost, nothing is trained."""

    vocab, mask = 257, 256

    def encode(self, text: bytes) -> np.ndarray:
        """Token numbers, uint16."""
        return np.frombuffer(text, np.uint8).astype(np.uint16)

    def decode(self, ids) -> str:
        """Text; what is not UTF-8, and masks, become U+FFFD."""
        return bytes(255 if i == self.mask else int(i) for i in ids).decode("utf-8", "replace")

    def save(self, folder) -> None:
        """Bytes need no file."""


class PieceTokens:
    """A trained tokenizer of the `tokenizers` library."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.vocab = tokenizer.get_vocab_size()
        self.mask = tokenizer.token_to_id(_MASK)
        if self.mask is None:
            raise InputError(f"the tokenizer has no {_MASK}")

    def encode(self, text: bytes) -> np.ndarray:
        """Token numbers, uint32. Text that is not UTF-8 is read with U+FFFD in its place."""
        # A line at a time: one string of megabytes is slow, and lines do not share pieces.
        lines = text.decode("utf-8", "replace").splitlines(keepends=True)
        encoded = self.tokenizer.encode_batch_fast(lines, add_special_tokens=False)
        ids = [np.asarray(e.ids, np.uint32) for e in encoded]
        return np.concatenate(ids) if ids else np.zeros(0, np.uint32)

    def decode(self, ids) -> str:
        return self.tokenizer.decode([int(i) for i in ids], skip_special_tokens=False)

    def save(self, folder) -> None:
        """Write ``tokenizer.json``."""
        self.tokenizer.save(str(Path(folder) / TOKENIZER))


def train_tokens(kind: str, vocab: int, documents) -> Tokens:
    """Tokens of one kind ("bytes", "bpe", "wordpiece"), fitted to byte strings.

    ``vocab`` counts the mask; a small text may yield fewer.
    """
    if kind == "bytes":
        return ByteTokens()
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    special = [_MASK, _UNKNOWN]
    settings = {"vocab_size": vocab, "special_tokens": special, "show_progress": False}
    if kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **settings)
    else:
        tokenizer = Tokenizer(models.WordPiece(unk_token=_UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(**settings)
    lines = (line for text in documents
             for line in text.decode("utf-8", "replace").splitlines(keepends=True))
    tokenizer.train_from_iterator(lines, trainer)
    return PieceTokens(tokenizer)


def load_tokens(kind: str, folder) -> Tokens:
    """The tokens of a checkpoint; raises :class:`sw.io.errors.InputError`."""
    if kind == "bytes":
        return ByteTokens()
    from tokenizers import Tokenizer
    path = Path(folder) / TOKENIZER
    try:
        return PieceTokens(Tokenizer.from_str(path.read_text()))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist, the checkpoint is incomplete") from None
    except InputError:
        raise
    except Exception as error:      # the library raises bare Exception for a bad file
        raise InputError(f"{path} is not a tokenizer: {error}") from None
