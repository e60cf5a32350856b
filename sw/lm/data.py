"""Text on disk to masked batches.

Files are read in a fixed order and split into training and held-out text, whole files where there
are several. A batch is a function of seed, step and place in the batch alone: a resumed run, or one
spread over more processes, sees the same sequences as one that was never stopped.
"""

import hashlib
import sysconfig
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sw.io.errors import InputError
from sw.lm.config import DataConfig
from sw.lm.tokens import Tokens, train_tokens

__all__ = ["Corpus", "Masked", "read_documents", "split", "load_corpus", "encode", "sample",
           "fixed_sample"]

_LIBRARY = ("site-packages", "__pycache__", "test", "tests", "idle_test", "lib2to3")


@dataclass(frozen=True)
class Corpus:
    """Token streams: ``train``, ``held_out`` (1-d), what they came from, and a digest of both."""

    tokens: Tokens
    train: np.ndarray
    held_out: np.ndarray
    name: str
    size: int               # bytes of text
    digest: str


@dataclass(frozen=True)
class Masked:
    """A batch: inputs ``ids`` (B, n), ``where`` (B, n) bool to predict, ``target`` (B, count)."""

    ids: np.ndarray
    where: np.ndarray
    target: np.ndarray


def read_documents(cfg: DataConfig) -> tuple[list[tuple[str, bytes]], str]:
    """(name, content) of every file that is not empty, sorted by name, and what to call them.

    Without data.text: the sources of Python's library, without its tests.
    """
    if not cfg.text:
        root = Path(sysconfig.get_paths()["stdlib"])
        found = _folder(root, (".py",), _LIBRARY)
        return _read(found), "Python standard library sources"
    found = []
    for text in cfg.text:
        path = Path(text)
        if path.is_dir():
            found += _folder(path, cfg.suffixes, cfg.exclude)
        elif path.is_file():
            found.append((path.name, path))
        else:
            raise InputError(f"text {path} does not exist")
    return _read(found), ", ".join(Path(text).name or str(text) for text in cfg.text)


def _folder(root, suffixes, exclude):
    files = [(path.relative_to(root).as_posix(), path) for path in root.rglob("*")
             if path.suffix in suffixes and path.is_file()]
    return sorted((name, path) for name, path in files
                  if not set(name.split("/")[:-1]) & set(exclude))


def _read(found):
    try:
        documents = [(name, path.read_bytes()) for name, path in found]
    except OSError as error:
        raise InputError(f"text {error.filename} cannot be read: {error.strerror}") from None
    documents = [(name, content) for name, content in documents if content]
    if not documents:
        raise InputError("the text is empty: no file with one of data.suffixes has any content")
    return documents


def split(documents, share: float) -> tuple[list[bytes], list[bytes]]:
    """Disjoint (training, held-out) texts; held-out is about ``share`` of the bytes.

    Of several files whole ones are held out, chosen by a checksum of their names, so that a new
    file moves no other. Where that leaves less than half or more than twice the share, as with
    few files, the end of the whole text is held out.
    """
    total = sum(len(content) for _, content in documents)
    chosen = [zlib.crc32(name.encode()) / 2**32 < share for name, _ in documents]
    kept = sum(len(content) for (_, content), out in zip(documents, chosen) if out)
    if share / 2 <= kept / total <= 2 * share:
        return ([content for (_, content), out in zip(documents, chosen) if not out],
                [content for (_, content), out in zip(documents, chosen) if out])
    whole = b"\n".join(content for _, content in documents)
    cut = len(whole) - max(1, round(share * len(whole)))
    return [whole[:cut]], [whole[cut:]]


def encode(tokens: Tokens, texts) -> np.ndarray:
    """One stream of tokens, a newline between texts."""
    return tokens.encode(b"\n".join(texts))


def load_corpus(cfg: DataConfig, context: int, tokens: Tokens | None = None) -> Corpus:
    """Read, split and encode; ``tokens`` of a checkpoint, or new ones fitted to the training
    text. Raises InputError where either part is shorter than ``context``."""
    documents, name = read_documents(cfg)
    train, held_out = split(documents, cfg.held_out)
    tokens = tokens or train_tokens(cfg.tokens, cfg.vocab, train)
    streams = [encode(tokens, texts) for texts in (train, held_out)]
    for part, stream in zip(("training", "held-out"), streams):
        if len(stream) < context:
            raise InputError(f"the {part} text has {len(stream)} tokens, must have at least "
                             f"model.context = {context}")
    digest = hashlib.sha256()
    for stream in streams:
        digest.update(len(stream).to_bytes(8, "little") + stream.astype("<u4").tobytes())
    return Corpus(tokens, *streams, name, sum(len(c) for _, c in documents), digest.hexdigest())


def sample(stream: np.ndarray, tokens: Tokens, context: int, share: float, seed: int, step: int,
           places: range) -> Masked:
    """The sequences at ``places`` of the batch of one step: random windows, masked afresh.

    In every sequence round(share * context) tokens, at least one, are to be predicted: 80% of
    them read as the mask, 10% as a random token, 10% as themselves, each drawn by itself.
    """
    count = max(1, round(share * context))
    ids = np.empty((len(places), context), np.int64)
    where = np.zeros((len(places), context), bool)
    target = np.empty((len(places), count), np.int64)
    for row, place in enumerate(places):
        draw = np.random.default_rng((seed, step, place))
        start = draw.integers(len(stream) - context + 1)
        ids[row] = stream[start:start + context]
        chosen = np.sort(draw.choice(context, count, replace=False))
        where[row, chosen] = True
        target[row] = ids[row, chosen]
        fate = draw.random(count)
        other = draw.integers(tokens.vocab - 1, size=count)
        other += other >= tokens.mask                       # any token but the mask
        ids[row, chosen] = np.where(fate < 0.8, tokens.mask,
                                    np.where(fate < 0.9, other, target[row]))
    return Masked(ids, where, target)


def fixed_sample(stream: np.ndarray, tokens: Tokens, context: int, share: float,
                 count: int) -> Masked:
    """The ``count`` sequences on which a loss is always measured, whatever a run's seed."""
    return sample(stream, tokens, context, share, 0x48454C44, 0, range(count))
