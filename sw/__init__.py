"""What a user runs: layers, training, quantisation, export, and real models on the engines.

The names below are the whole of the PyTorch side for most users. They are fetched when first asked
for, so that ``sw.run`` works without torch.
"""

from importlib import import_module

_WHERE = {"attach": "sw.nn.attachment", "detach": "sw.nn.attachment",
          "CTAAttention": "sw.nn.cta_attention", "LookupFFN": "sw.nn.lookup_ffn",
          "calibrate_layers": "sw.nn.calibration", "quantise_model": "sw.quant.model",
          "float_model": "sw.quant.model", "export": "sw.image.writer",
          "on_engine": "sw.image.engine"}

__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'sw' has no attribute {name!r}")
