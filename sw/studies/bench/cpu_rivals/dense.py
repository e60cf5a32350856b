"""The network that LookupFFN replaces, d -> 4 d -> d with GELU, as users of torch run it."""

import warnings

from sw.io.errors import InputError

__all__ = ["bf16", "compiled", "int8", "network", "require_torch", "vanilla"]


def require_torch():
    """The package torch; raises InputError in one line where it is missing."""
    try:
        import torch
    except ImportError:
        raise InputError("the vanilla network needs torch, which `make setup` installs (extra sw)") from None
    return torch


def network(torch, d: int):
    """The network in eval mode, of seed 0: a Sequential of two linears and a GELU between."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(d, 4 * d), torch.nn.GELU(), torch.nn.Linear(4 * d, d)).eval()


def vanilla(torch, d, x, threads):
    """In single precision, eager."""
    dense = network(torch, d)
    return lambda: dense(x)


def bf16(torch, d, x, threads):
    """In bfloat16, tokens included."""
    dense, low = network(torch, d).bfloat16(), x.bfloat16()
    return lambda: dense(low)


def int8(torch, d, x, threads):
    """torch's dynamic quantisation: weights of 8 bits, tokens quantised in every call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")             # of torch to its own users
        dense = torch.ao.quantization.quantize_dynamic(network(torch, d), {torch.nn.Linear}, torch.qint8)
    return lambda: dense(x)


def compiled(torch, d, x, threads):
    """torch.compile, compiled before it is timed."""
    dense = torch.compile(network(torch, d))
    with torch.inference_mode():
        dense(x)
    return lambda: dense(x)
