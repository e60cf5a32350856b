"""A checkpoint of the smallest model with both kinds of layers, untrained."""

from dataclasses import replace

TEXT = "the quick brown fox jumps over the lazy dog. " * 99


def checkpoint(folder, text):
    """Write ``text`` and, to ``folder``, a model of two layers for it."""
    import torch

    from sw.lm.checkpoint import save_model
    from sw.lm.config import DataConfig, ModelConfig, RunConfig
    from sw.lm.model import MaskedLM
    from sw.lm.tokens import train_tokens
    torch.manual_seed(0)
    text.write_text(TEXT)
    tokens = train_tokens("bytes", 0, [text.read_bytes()])
    model = ModelConfig(d=32, heads=2, layers=2, context=24, vocab=tokens.vocab, ffn="lookup",
                        ffn_options={"h": 8, "tau": 4, "block": 8}, attention="cta")
    cfg = replace(RunConfig(model=model), data=DataConfig(text=(str(text),)))
    save_model(folder, MaskedLM(model), cfg, tokens, step=1, meta={})
