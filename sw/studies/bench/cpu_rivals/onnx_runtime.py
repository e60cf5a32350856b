"""The network d -> 4 d -> d with GELU in ONNX Runtime, in single precision and with dynamic int8 weights."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sw.studies.bench.cpu_rivals.dense import network

__all__ = ["fp32", "int8"]


def _write(torch, d: int, path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    dense = network(torch, d)
    values = {"w1": dense[0].weight.T, "b1": dense[0].bias, "w2": dense[2].weight.T, "b2": dense[2].bias}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w1"], ["m1"]), helper.make_node("Add", ["m1", "b1"], ["a1"]),
         helper.make_node("Gelu", ["a1"], ["g"]), helper.make_node("MatMul", ["g", "w2"], ["m2"]),
         helper.make_node("Add", ["m2", "b2"], ["y"])],
        "ffn", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", d])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["t", d])],
        [numpy_helper.from_array(np.ascontiguousarray(value.detach().numpy()), name)
         for name, value in values.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)


def _quantised(path: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    to, log = path.with_name("int8.onnx"), logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)             # it advises a step that this graph does not need
    try:
        quantize_dynamic(path, to, weight_type=QuantType.QInt8)
    finally:
        log.setLevel(level)
    return to


def _session(torch, d, x, threads, quantise: bool):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads would spin through the turns of the others, and be counted there.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fp32.onnx"
        _write(torch, d, path)
        path = _quantised(path) if quantise else path
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {"x": x.numpy()}
    return lambda: session.run(None, feed)[0]


def fp32(torch, d, x, threads):
    """In single precision, with all of its graph optimisations."""
    return _session(torch, d, x, threads, False)


def int8(torch, d, x, threads):
    """Its dynamic quantisation: weights of 8 bits, tokens quantised in every call."""
    return _session(torch, d, x, threads, True)
