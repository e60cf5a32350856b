"""One reference page a block, made of its docstring, its ports and its latencies."""

import inspect
import re
from functools import cache

from amaranth.hdl import Shape
from amaranth.lib import stream
from amaranth.lib.wiring import In

import model.cta.timing
import model.lookup.timing
from docs.site.waves import WAVES, render, wavejson
from gen.blocks.memory import SRAM
from gen.contract import contract, docstring, first_sentence, unflipped
from gen.cta.top import CTA
from gen.emit import Emitter
from gen.lookup.top import Lookup
from model.cta.config import CTAConfig
from model.lookup.config import LookupConfig

__all__ = ["blocks", "pages"]

GROUPS = {"gen.cta": "CTA", "gen.lookup": "LookupFFN", "gen.blocks": "Common blocks"}


@cache
def blocks() -> dict[str, list]:
    """One component of each class that the two default engines hold, by group, in datapath
    order."""
    found = {}
    for top in (CTA(CTAConfig()), Lookup(LookupConfig())):
        emitter = Emitter()
        emitter.convert(top, top.module_name)
        for component in emitter.components.values():
            found.setdefault(type(component), component)
    memory = found.setdefault(SRAM, SRAM(width=16, depth=512))
    memory._MustUse__used = True  # it is looked at, not built
    groups = {title: [] for title in GROUPS.values()}
    for kind, component in found.items():
        groups[GROUPS[".".join(kind.__module__.split(".")[:2])]].append(component)
    return groups


def pages() -> dict[str, dict[str, tuple[str, str]]]:
    """Group to title to (path, Markdown); and the waveforms as (path, SVG) in the group None."""
    out = {None: {}}
    for group, components in blocks().items():
        out[group] = {}
        for component in components:
            kind = type(component)
            module = kind.__module__.removeprefix("gen.").replace(".", "-")
            path = f"reference/{module}-{kind.__name__}"
            picture = kind.__name__ in WAVES and group == "CTA"
            if picture:
                wave = WAVES[kind.__name__]
                out[None][kind.__name__] = (
                    f"{path}.svg",
                    render(wavejson(wave.table(), wave.first)),
                )
            out[group][kind.__name__] = (f"{path}.md", _page(component, picture))
    return out


def _markdown(text: str) -> str:
    """A docstring as Markdown: roles and double backquotes become code, ``::`` a colon."""
    text = re.sub(r":[\w:]+:`~?(?:[\w.]*\.)?([^`]*)`", r"`\1`", text)
    text = re.sub(r"``(.*?)``", r"`\1`", text, flags=re.S)
    # An index of an index is no cross reference.
    text = "`".join(
        part.replace("][", "]\\[") if at % 2 == 0 else part
        for at, part in enumerate(text.split("`"))
    )
    text = re.sub(r"\bdocs/([\w/-]+\.md)", r"[docs/\1](../\1)", text)
    return re.sub(r"::$", ":", text, flags=re.M)


def _body(kind) -> str:
    """The text of a contract; a formula at its beginning gets back the indentation that it lost."""
    text = contract(kind).text
    first = text.partition("\n")[0]
    formula = first and f"\n    {first}\n" in docstring(kind) + "\n"
    return _markdown("    " * bool(formula) + text)


def _page(component, picture: bool) -> str:
    kind = type(component)
    what = contract(kind)
    source = kind.__module__.replace(".", "/") + ".py"
    parts = [
        f"# {kind.__name__}",
        _markdown(what.summary),
        f"Source: `{source}`, class `{kind.__name__}`.",
        _body(kind),
    ]
    for label, text in what.sections.items():
        parts += [f"## {label}", _markdown(text[:1].upper() + text[1:])]
    if latencies := list(_latencies(component)):
        parts += [
            "## Latencies",
            "The values are those of the default configuration.",
            _table(("function", "cycles", "meaning"), latencies),
        ]
    parts += [
        "## Ports",
        "The widths are those of the default configuration.",
        _table(("port", "direction", "shape", "meaning"), _ports(component, what.members)),
    ]
    if picture:
        wave = WAVES[kind.__name__]
        name = kind.__module__.removeprefix("gen.").replace(".", "-") + f"-{kind.__name__}.svg"
        parts += [
            "## Waveform",
            f"![The first cycles of a table that a test plays]({name})",
            _markdown(wave.about) + " Inputs stand above, outputs below; grey cycles are not "
            "looked at. The picture is of the smallest engine (b = 2, d = 8, l = 2, n = 8). "
            f"`python -m docs.site.waves {kind.__name__.lower()} --vcd block.vcd` records every "
            "signal.",
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head, rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )


def _latencies(component):
    """Functions and constants of the timing module that the docstring names."""
    cfg = getattr(component, "cfg", None)
    timing = model.lookup.timing if isinstance(cfg, LookupConfig) else model.cta.timing
    text = type(component).__doc__ or ""
    for name in sorted(set(re.findall(r"\b[A-Za-z]+(?:_[A-Za-z]+)+\b", text))):
        value = getattr(timing, name, None)
        if isinstance(value, int):
            yield f"`{name}`", value, _comment(timing, name)
        elif inspect.isfunction(value) and value.__module__ == timing.__name__:
            if list(inspect.signature(value).parameters) == ["cfg"]:
                yield (
                    f"`{name}(cfg)`",
                    value(cfg),
                    _markdown(first_sentence(" ".join((value.__doc__ or "").split())) + "."),
                )


def _comment(module, name: str) -> str:
    """The string or comment that stands with a constant."""
    source = inspect.getsource(module)
    found = re.search(rf'^{name} = [^\n]*\n"""(.*?)"""', source, re.M | re.S) or re.search(
        rf"^{name} = [^#\n]*# (.*)$", source, re.M
    )
    return " ".join(found[1].split()) if found else ""


def _shape(member) -> str:
    if member.is_port:
        shape = Shape.cast(member.shape)
        return f"{'signed' if shape.signed else 'unsigned'} {shape.width}"
    kind = unflipped(member.signature)
    if isinstance(kind, stream.Signature):
        return f"stream of {Shape.cast(kind.members['payload'].shape).width} bits"
    return f"`{type(kind).__name__}`"


def _ports(component, members):
    for name, member in component.signature.members.items():
        length = "".join(f"[{length}]" for length in member.dimensions)
        yield (
            f"`{name}{length}`",
            "in" if member.flow == In else "out",
            _shape(member),
            _markdown(members[name].text) if name in members else "",
        )
    for kind in {
        type(unflipped(member.signature)): None
        for member in component.signature.members.values()
        if member.is_signature and not isinstance(unflipped(member.signature), stream.Signature)
    }:
        for name, inside in contract(kind).members.items():
            yield f"`{kind.__name__}.{name}`", "", "", _markdown(inside.text)
