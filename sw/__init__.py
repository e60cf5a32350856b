"""What a user runs: layers, training, quantisation, export, and real models on the engines.

The names below are the whole of the PyTorch side for most users. They are fetched when first asked
for, so that ``sw.run`` works without torch.
"""

from importlib import import_module
from importlib import util as _util
from pathlib import Path as _Path

# By its path: what it finds out is whether `import model` gives our own package.
_spec = _util.spec_from_file_location(
    "model.start", _Path(__file__).resolve().parents[1] / "model" / "start.py")
_start = _util.module_from_spec(_spec)
_spec.loader.exec_module(_start)
_start.begin(__name__)

_WHERE = {"attach": "sw.nn.attachment", "detach": "sw.nn.attachment",
          "load_pretrained": "sw.nn.loading",
          "CTAAttention": "sw.nn.cta_attention", "LookupFFN": "sw.nn.ffn.lookup",
          "calibrate_layers": "sw.nn.calibration", "quantise_model": "sw.quant.model",
          "float_model": "sw.quant.model", "export": "sw.exported.writer",
          "on_engine": "sw.exported.hooks"}

__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'sw' has no attribute {name!r}")
