"""YOSO in inference: the tables of its hashes are built once, a token hashes and adds a row of each."""

__all__ = ["Frozen", "yoso"]


class Frozen:
    """A YOSO layer whose weights stand still: y (t, d) = frozen(x (t, d)), as the layer in eval mode."""

    def __init__(self, torch, layer):
        from sw.nn.ffn.yoso import hd3_codes
        self._layer, self._torch = layer, torch
        with torch.no_grad():
            w = torch.nn.functional.normalize(layer.up, dim=-1)
            self._first = torch.arange(layer.h) << layer.tau
            bucket = (hd3_codes(w, layer.signs, layer.tau, layer.h) + self._first).flatten()
            values = layer.down.repeat_interleave(layer.h, 0)
            self._tables = torch.zeros(layer.h << layer.tau, layer.d).index_add_(0, bucket, values)

    def __call__(self, x):
        from sw.nn.ffn.yoso import hd3_codes
        layer, functional = self._layer, self._torch.nn.functional
        # A code is a sign: the length of a token does not show in it, nor that of y in its direction.
        rows = hd3_codes(x, layer.signs, layer.tau, layer.h) + self._first
        y = functional.embedding_bag(rows, self._tables, mode="sum")
        return functional.normalize(y, dim=-1, eps=layer.h * 1e-12) + layer.out_bias


def yoso(torch, d, x, threads):
    """YOSO, 512 hashes of 5 bits."""
    from sw.nn.ffn.registry import make_ffn
    frozen = Frozen(torch, make_ffn("yoso", d, seed=0).eval())
    return lambda: frozen(x)
