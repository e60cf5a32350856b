"""The masked language model on which the layers are trained and measured."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.errors import ConfigError
from sw.lm.config import ModelConfig
from sw.nn.cta_attention import CTAAttention
from sw.nn.encoder_layer import EncoderLayer
from sw.nn.ffn.registry import make_ffn

__all__ = ["MaskedLM", "waves"]


def waves(context: int, d: int) -> Tensor:
    """Fixed positions (context, d): sinusoids of amplitude 0.3, periods from 2 pi to 2000 pi."""
    angle = torch.arange(context)[:, None] / 1000 ** (torch.arange(0, d, 2) / d)
    return 0.3 * torch.cat([angle.sin(), angle.cos()], dim=1)


class MaskedLM(nn.Module):
    """Pre-norm encoder over tokens and positions, with a prediction for every token.

    Attention is :class:`sw.nn.cta_attention.CTAAttention` in every layer, in its exact mode for
    ordinary attention, so that CTA is a switch of a trained model and not another model. The
    recipe is RoBERTa's with LayerNorm in front of attention and FFN, as the LookupFFN paper
    trains; ``stem`` and ``positions = "waves"`` are this project's, for models of minutes.

    Members: ``token``, ``position`` (or the buffer ``waves``), ``stem`` or None, ``layers``,
    ``norm``, ``head``. Raises ConfigError for options that the layers do not take.
    """

    def __init__(self, cfg: ModelConfig):
        super().__init__()
        if cfg.vocab < 2:
            raise ConfigError(f"model.vocab is {cfg.vocab}, must be at least 2 for a model")
        self.cfg, d = cfg, cfg.d
        self.token = nn.Embedding(cfg.vocab, d)
        nn.init.normal_(self.token.weight, std=cfg.init)
        if cfg.positions == "learned":
            self.position = nn.Parameter(torch.empty(cfg.context, d).normal_(std=cfg.init))
        else:
            self.register_buffer("waves", waves(cfg.context, d), persistent=False)
        self.stem = nn.Conv1d(d, d, cfg.stem, padding=cfg.stem // 2) if cfg.stem else None
        self.dropout = nn.Dropout(cfg.dropout)
        self.layers = nn.ModuleList(self._layer(i) for i in range(cfg.layers))
        self.norm, self.head = nn.LayerNorm(d), _HEADS[cfg.head](d, cfg.vocab)

    def _layer(self, index):
        cfg = self.cfg
        # Every layer has directions of its own.
        options = {"seed": 0, **cfg.attention_options}
        options["seed"] += index
        try:
            attention = CTAAttention(cfg.d, cfg.heads, mode=cfg.attention,
                                     dropout=cfg.dropout, **options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"model.attention_options: {error}") from None
        return EncoderLayer(cfg.d, cfg.heads, make_ffn(cfg.ffn, cfg.d, **cfg.ffn_options),
                            attention, cfg.dropout)

    def embed(self, ids: Tensor) -> Tensor:
        """Tokens (B, n) to what enters the first layer, (B, n, d)."""
        n = ids.shape[1]
        if not 0 < n <= self.cfg.context:
            raise ValueError(f"ids has {n} tokens, must have 1..{self.cfg.context}")
        x = self.token(ids)
        if self.stem is not None:
            x = x + F.gelu(self.stem(x.transpose(1, 2)).transpose(1, 2))
        place = self.position if self.cfg.positions == "learned" else self.waves
        return self.dropout(x + place[:n])

    def forward(self, ids: Tensor, where: Tensor | None = None,
                padding: Tensor | None = None) -> Tensor:
        """Logits (B, n, vocab), or (where.sum(), vocab) of the chosen places.

        Parameters
        ----------
        ids : (B, n) int64, n up to ``context``.
        where : (B, n) bool, places to predict; None for all.
        padding : (B, n) bool, True for tokens that are not there; None where all are.
        """
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, padding)
        x = self.norm(x if where is None else x[where])
        return self.head(x, self.token.weight)

    @property
    def aux_loss(self) -> Tensor | None:
        """The sum of what the feed-forward networks ask for after a training forward, or None."""
        losses = [layer.aux_loss for layer in self.layers]
        losses = [loss for loss in losses if loss is not None]
        return torch.stack(losses).sum() if losses else None


class _RobertaHead(nn.Module):
    """Dense, GELU, LayerNorm, then the token embedding transposed, and a bias."""

    def __init__(self, d, vocab):
        super().__init__()
        self.dense, self.norm = nn.Linear(d, d), nn.LayerNorm(d)
        self.bias = nn.Parameter(torch.zeros(vocab))

    def forward(self, x, embedding):
        return F.linear(self.norm(F.gelu(self.dense(x))), embedding, self.bias)


class _LinearHead(nn.Linear):
    """A linear of its own."""

    def forward(self, x, embedding):
        return super().forward(x)


_HEADS = {"roberta": _RobertaHead, "linear": _LinearHead}
