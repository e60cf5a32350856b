"""Broken blocks for mutation tests: the block wired wrongly, or with one edit in its source."""

import ast
import inspect
import textwrap

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In

__all__ = ["rewired", "edited", "each_found"]


def rewired(block, **wrong):
    """A subclass of ``block``: each input in ``wrong`` is ``wrong[name](outer port)`` inside."""

    class Rewired(block):
        def __init__(self, *args):
            super().__init__(*args)
            self._args = args

        def elaborate(self, platform):
            m = Module()
            m.submodules.inner = inner = block(*self._args)
            for name, member in self.signature.members.items():
                inside, outside = getattr(inner, name), getattr(self, name)
                pairs = zip(inside, outside) if member.dimensions else [(inside, outside)]
                for within, without in pairs:
                    if member.flow == In:
                        m.d.comb += within.eq(wrong.get(name, lambda port: port)(without))
                    else:
                        m.d.comb += without.eq(within)
            return m

    return Rewired


def edited(block, old, new, method="elaborate"):
    """A subclass of ``block`` in whose ``method`` the source text ``old`` reads ``new``.

    ValueError where ``old`` does not stand there exactly once, or where the edit changes nothing but
    looks: a mutant must follow its block.
    """
    source = textwrap.dedent(inspect.getsource(getattr(block, method)))
    if source.count(old) != 1:
        raise ValueError(f"{block.__name__}.{method} has {old!r} {source.count(old)} times, "
                         f"must have it once")
    scope = dict(vars(inspect.getmodule(block)))
    tree = ast.parse(source.replace(old, new))
    if ast.dump(tree) == ast.dump(ast.parse(source)):
        raise ValueError(f"{block.__name__}.{method} does the same with {new!r} for {old!r}")
    exec(compile(tree, f"<{block.__name__} with {new!r}>", "exec"), scope)
    return type(f"Edited{block.__name__}", (block,), {method: scope[method]})


def each_found(block, edits, play, match="seed"):
    """A test with a case for each of ``edits``, by name: (old, new) or (old, new, method), as
    :func:`edited` takes them. ``play(block)`` is a check that the whole block passes and that must
    fail on the edited one, by an assertion whose message matches.
    """
    @pytest.mark.parametrize("name", edits)
    def test(name):
        broken = edited(block, *edits[name])
        with pytest.raises(AssertionError, match=match):
            play(broken)
    return test
