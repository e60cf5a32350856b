"""What a LookupFFN layer on the CPU stands beside: the network that it replaces, as users run it.

Every rival is the same network, d -> 4 d -> d with GELU. One that needs a package that is not installed, or
that fails to build, is left out.
"""

import io
import warnings
from collections.abc import Callable
from functools import cache

import numpy as np

from sw.io.errors import InputError

__all__ = ["rivals", "require_torch"]


def require_torch():
    """The package torch; raises InputError in one line where it is missing."""
    try:
        import torch
    except ImportError:
        raise InputError("the vanilla network needs torch, which `make setup` installs (extra sw)") from None
    return torch


def _network(torch, d: int):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(d, 4 * d), torch.nn.GELU(), torch.nn.Linear(4 * d, d)).eval()


def _bf16(torch, d, x, threads):
    network, low = _network(torch, d).bfloat16(), x.bfloat16()
    return lambda: network(low)


def _int8(torch, d, x, threads):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")             # of torch to its own users
        network = torch.ao.quantization.quantize_dynamic(_network(torch, d), {torch.nn.Linear}, torch.qint8)
    return lambda: network(x)


def _compiled(torch, d, x, threads):
    network = torch.compile(_network(torch, d))
    with torch.inference_mode():
        network(x)
    return lambda: network(x)


def _onnx_model(torch, d: int) -> bytes:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    network = _network(torch, d)
    values = {"w1": network[0].weight.T, "b1": network[0].bias,
              "w2": network[2].weight.T, "b2": network[2].bias}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w1"], ["m1"]), helper.make_node("Add", ["m1", "b1"], ["a1"]),
         helper.make_node("Gelu", ["a1"], ["g"]), helper.make_node("MatMul", ["g", "w2"], ["m2"]),
         helper.make_node("Add", ["m2", "b2"], ["y"])],
        "ffn", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", d])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["t", d])],
        [numpy_helper.from_array(np.ascontiguousarray(value.detach().numpy()), name)
         for name, value in values.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    file = io.BytesIO()
    onnx.save(model, file)
    return file.getvalue()


def _onnx(torch, d, x, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads would spin through the turns of the others, and be counted there.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(_onnx_model(torch, d), options, providers=["CPUExecutionProvider"])
    feed = {"x": x.numpy()}
    return lambda: session.run(None, feed)


_MAKE: dict[str, Callable] = {"torch bf16": _bf16, "torch int8": _int8, "torch.compile": _compiled,
                              "onnx fp32": _onnx}


@cache
def _say(what: str) -> None:
    """Once."""
    print(what)


def rivals(d: int, x, threads: int) -> dict[str, Callable]:
    """Calls without arguments by name, "torch fp32" first; ``x`` (t, d) are torch's tokens."""
    torch = require_torch()
    vanilla = _network(torch, d)
    found = {"torch fp32": lambda: vanilla(x)}
    for name, make in _MAKE.items():
        try:
            found[name] = make(torch, d, x, threads)
        except Exception as error:              # of a package that we do not know: it is no rival here
            reason = (str(error).splitlines() or [""])[0][:80]
            _say(f"{name} is left out: {type(error).__name__}: {reason}")
    return found
