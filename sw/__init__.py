"""What a user runs: layers, training, quantisation, export, and real models on the engines.

``sw.attach``, ``sw.detach``, ``sw.export``, ``sw.CTAAttention`` and ``sw.LookupFFN`` are the whole
of the PyTorch side for most users. They are fetched when first asked for, so that ``sw.run`` works
without torch.
"""

from importlib import import_module

_WHERE = {"attach": "sw.nn.attachment", "detach": "sw.nn.attachment",
          "CTAAttention": "sw.nn.cta_attention", "LookupFFN": "sw.nn.lookup_ffn",
          "export": "sw.image.writer"}

__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'sw' has no attribute {name!r}")
