"""SLIDE and MONGOOSE in inference: neurons are hashed once, and a pass computes those that it retrieves.

Layers and defaults are those of :mod:`sw.nn.ffn.slide` and :mod:`sw.nn.ffn.mongoose`, which hash all
neurons in every forward, as training needs. Here nothing is hashed twice: codes of the neurons are kept.
Products run in torch, on its vectors and threads. Outputs are those of the layers (tests hold them equal).
"""

__all__ = ["Frozen", "mongoose", "slide"]


class Frozen:
    """A SLIDE or MONGOOSE layer whose weights stand still: y (t, d) = frozen(x (t, d))."""

    def __init__(self, torch, layer):
        from sw.nn.ffn.slide import sim_hash
        self._layer, self._torch = layer, torch
        with torch.no_grad():
            keyed = torch.cat([layer.up, layer.up_bias[:, None]], 1)
            self._neurons = sim_hash(keyed, layer.projection, layer.tables)
            # <[x; 1], p> is a product and a bias: tokens are not copied.
            self._direction = layer.projection[:-1].T.contiguous()
            self._offset = layer.projection[-1].clone()
            self._place = (1 << torch.arange(layer.bits)).expand(layer.tables, -1)

    def codes(self, x):
        """Codes (t, tables) of tokens."""
        functional = self._torch.nn.functional
        bits = (functional.linear(x, self._direction, self._offset) > 0).unflatten(-1, self._place.shape)
        return (bits * self._place).sum(-1)

    def __call__(self, x):
        from sw.nn.ffn.slide import retrieve
        torch, layer = self._torch, self._layer
        found = retrieve(self.codes(x), self._neurons, layer.bits, layer.per_pass)
        y = torch.empty_like(x)
        for hit, tokens, to in zip(found, x.split(layer.per_pass), y.split(layer.per_pass), strict=True):
            chosen = hit.nonzero()[:, 0]
            up, down = layer.up.index_select(0, chosen), layer.down.index_select(0, chosen)
            inner = torch.nn.functional.linear(tokens, up, layer.up_bias[chosen])
            torch.addmm(layer.out_bias, torch.nn.functional.gelu(inner), down, out=to)
        return y


def _call(torch, name: str, d: int, x):
    from sw.nn.ffn.registry import make_ffn
    frozen = Frozen(torch, make_ffn(name, d, seed=0).eval())
    return lambda: frozen(x)


def slide(torch, d, x, threads):
    """SLIDE, 10 bits, 3 tables, 128 tokens a pass."""
    return _call(torch, "slide", d, x)


def mongoose(torch, d, x, threads):
    """MONGOOSE, 12 bits, 3 tables, 2,048 tokens a pass."""
    return _call(torch, "mongoose", d, x)
