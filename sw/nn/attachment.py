"""Replace attention by CTA and feed-forward networks by others, in place, and undo it.

    report = sw.attach(model, attention="cta", ffn="lookup", ffn_options={"h": 16, "tau": 6})
    print(report)
    sw.detach(model)

What happens to weights, optimisers, devices and checkpoints: docs/decisions/0005-attach.md.
"""

from collections.abc import Iterable, Mapping

from torch import nn

from sw.nn import saved
from sw.nn.cta_heads import MODES, CTAHeads
from sw.nn.encoder_layer import EncoderLayer
from sw.nn.ffn.lookup import LookupFFN
from sw.nn.ffn.registry import FFNS, make_ffn
from sw.nn.hosts import registry, torch_modules
from sw.nn.hosts.host import PARTS, FeedForward, Host
from sw.nn.hosts.hugging_face import forget_output_hooks
from sw.nn.hosts.unknown import in_words, unknown_parts
from sw.nn.intact import require_plain
from sw.nn.names import plain_names
from sw.nn.report import Report, Row

__all__ = ["attach", "detach", "attention_layers", "ffn_layers"]

KNOWN = f"nn.MultiheadAttention, nn.TransformerEncoderLayer, {registry.KNOWN}"


def attach(model: nn.Module, attention: str | None = "cta", ffn: str | None = None, *,
           layers: Iterable[int] | None = None, attention_options: Mapping | None = None,
           ffn_options: Mapping | None = None) -> Report:
    """Replace attention and feed-forward networks of ``model``, in place.

    Parameters
    ----------
    model : any module with layers of %s somewhere inside.
    attention : "cta"; "exact" for ordinary attention by the same module, so that ``heads.mode``
        becomes a switch; None to leave attention alone.
    ffn : a name of :data:`sw.nn.ffn.registry.FFNS`, or None to leave the feed-forward networks alone.
    layers : indices of the layers to work on, negative ones from the end; None for all. Layers
        count in the order in which the model holds them.
    attention_options : of CTAHeads: l, directions, shared, seed, dropout. Layer i gets seed + i,
        dropout is the model's own unless given.
    ffn_options : of the feed-forward layer. A seed becomes seed + i. "lookup" without h and tau
        takes h = d // 4 and tau = 8, the paper's 128 tables of 256 rows at d = 512.

    Attention keeps the model's own q, k, v and output projections, trained or to be trained. A
    new feed-forward network is untrained. Bucket widths are a guess until
    :func:`sw.nn.widths.calibrate` has set them for the model's own tokens.

    Returns the report. Raises ValueError, before anything is changed, for a model without a layer
    that is known here, a part that none of the chosen layers can replace (such as attention with
    a causal mask), a part that is replaced already, and illegal arguments or options.
    """
    if attention is None and ffn is None:
        raise ValueError("attention and ffn are both None, one must name a replacement")
    if attention is not None and attention not in MODES:
        raise ValueError(f"attention is {attention!r}, must be one of {', '.join(MODES)} or None")
    if ffn is not None and ffn not in FFNS:
        raise ValueError(f"ffn is {ffn!r}, must be one of {', '.join(FFNS)} or None")
    asked = None if attention and ffn else "attention" if attention else "ffn"
    hosts, plain = _hosts(model, asked), plain_names(model)
    chosen = _chosen(layers, len(hosts))
    wanted = {"attention": attention, "ffn": ffn}
    rows, work = [], []
    for index, part, host in _parts(hosts):
        why = _why_kept(part, wanted[part], index in chosen, host)
        if why is None:
            new = _build(host, part, wanted[part], index,
                         (attention_options if part == "attention" else ffn_options) or {})
            work.append((len(rows), host, part, new))
        rows.append((index, part, host, host.describe(part), why))
    others = list(unknown_parts(model, [host.at(part) if isinstance(host, torch_modules.MultiheadHost)
                                        else host.layer for _, part, host in _parts(hosts)]))
    for part in PARTS:
        reasons = [why for i, p, host, _, why in rows if p == part and i in chosen and why]
        reasons += [one.why for one in others if one.part == part]
        if wanted[part] and part not in [p for _, _, p, _ in work]:
            raise ValueError(f"no {part} of this {type(model).__name__} can be replaced: "
                             + (reasons[0] if reasons else "it has none"))
    forget_output_hooks(model)
    for _, host, part, new in work:
        host.put(part, new)
    torch_modules.nested_tensors(model, hosts)
    saved.note(model, attention=attention, ffn=ffn,
               layers=None if layers is None else sorted(chosen),
               attention_options=dict(attention_options or {}), ffn_options=dict(ffn_options or {}))
    done = {number for number, *_ in work}
    return Report(type(model).__name__, "attach", tuple(
        Row(index, part, _where(host, part, plain), was, host.describe(part), number in done,
            _serves(host) if number in done else why)
        for number, (index, part, host, was, why) in enumerate(rows)) + tuple(
        Row(None, one.part, plain[one.name], one.kind, one.kind, False, one.why)
        for one in others), _notes(attention))


if attach.__doc__:                 # `python -OO` has taken it
    attach.__doc__ %= KNOWN


def detach(model: nn.Module) -> Report:
    """Put back what :func:`attach` replaced in ``model``, in place.

    Attention comes back with the weights as they are now, trained or not; hash functions and
    bucket widths are dropped. Feed-forward networks come back as they were when they were
    replaced, on the device and in the dtype of their replacement.

    Returns the report. Raises ValueError, before anything is changed, if nothing is replaced, and
    where something would be dropped: hooks, adapters and modules put on the replacement after
    attach, or feed-forward networks that the folder of :func:`sw.load_pretrained` did not have.
    """
    hosts = _hosts(model)
    if not any(host.attached(part) for _, part, host in _parts(hosts)):
        raise ValueError(f"this {type(model).__name__} has nothing attached")
    for _, part, host in _parts(hosts):
        heads = getattr(host.at(part), "heads", None)
        if host.attached(part) and isinstance(heads, CTAHeads):
            require_plain(heads, f"{host.where(part)} cannot be put back")
        if host.attached(part) and (why := host.undone(part)):
            raise ValueError(f"{host.where(part)} cannot be put back: {why}")
    rows = []
    forget_output_hooks(model)
    saved.forget(model)
    for index, part, host in _parts(hosts):
        was, attached = host.describe(part), host.attached(part)
        if attached:
            host.restore(part)
        rows.append(Row(index, part, host.where(part), was, host.describe(part), attached,
                        "" if attached else "not attached"))
    torch_modules.nested_tensors(model, hosts)
    return Report(type(model).__name__, "detach", tuple(rows))


def attention_layers(model: nn.Module) -> dict[str, CTAHeads]:
    """All CTAHeads of ``model`` by name, in the order in which the model holds them."""
    return {name: module for name, module in model.named_modules() if isinstance(module, CTAHeads)}


def ffn_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Feed-forward layers of ``model`` by name, in the order in which the model holds them.

    Those that attach has put, those of our own encoder layers, and any LookupFFN. A network that
    is still the host's own is not among them.
    """
    found = {}
    for name, module in model.named_modules():
        own = isinstance(module, EncoderLayer) and not isinstance(module.ffn, FeedForward)
        if own or isinstance(module, FeedForward):
            found[f"{name}.ffn" if name else "ffn"] = module.ffn
        elif isinstance(module, LookupFFN):
            found[name] = module
    return found


def _hosts(model: nn.Module, asked: str | None = None) -> list[Host]:
    """Adapters of all layers of ``model``; what is inside a layer is the adapter's affair. ``asked``
    is the part that a refusal tells of, None for both."""
    if not isinstance(model, nn.Module):
        raise ValueError(f"model is a {type(model).__name__}, must be a torch.nn.Module")
    depths, found = registry.depths_in(model), []
    inside: set[int] = set()
    for name, module in model.named_modules():
        if id(module) in inside:
            continue
        host = (registry.find_host(name, module, depths)
                or torch_modules.find_host(name, module, model))
        if host is not None:
            found.append(host)
            inside |= {id(m) for m in module.modules()}
    if not found:
        left = [one for one in unknown_parts(model, []) if asked in (None, one.part)]
        raise ValueError(f"{type(model).__name__} has no layer that can be replaced; known are "
                         + KNOWN + (f". Left as it is: {in_words(left)}" if left else ""))
    return found


def _chosen(layers: Iterable[int] | None, count: int) -> set[int]:
    if layers is None:
        return set(range(count))
    if isinstance(layers, (int, str)):
        raise ValueError(f"layers is {layers!r}, must be a sequence of indices")
    chosen = list(layers)
    for layer in chosen:
        if not isinstance(layer, int) or not -count <= layer < count:
            raise ValueError(f"layers has {layer!r}, must be in {-count}..{count - 1}")
    if not chosen:
        raise ValueError("layers is empty, must name a layer")
    return {layer % count for layer in chosen}


def _parts(hosts: list[Host]):
    return [(index, part, host) for index, host in enumerate(hosts) for part in PARTS
            if host.paths(part)]


def _why_kept(part: str, wanted: str | None, chosen: bool, host: Host) -> str | None:
    if wanted is None:
        return "not asked for"
    if not chosen:
        return "not among the chosen layers"
    if host.attached(part):
        raise ValueError(f"{host.where(part)} is replaced already ({host.describe(part)}); "
                         "detach first")
    return host.why_not(part) or host.hooked(part)


def _build(host: Host, part: str, wanted: str, index: int, options: Mapping) -> nn.Module:
    options = dict(options)
    if not isinstance(options.get("seed", 0), int | None):
        raise ValueError(f"seed is {options['seed']!r}, must be an integer")
    if options.get("seed") is not None or (part == "attention" and host.SEEDED):
        options["seed"] = (options.get("seed") or 0) + index
    if part == "attention":
        return host.new_attention(wanted, options)
    if wanted == "lookup":
        options = {"h": max(1, host.dim() // 4), "tau": 8} | options
    like = next(p for p in host.layer.parameters())
    return FeedForward(make_ffn(wanted, host.dim(), **options).to(like.device, like.dtype))


def _where(host: Host, part: str, plain: Mapping[str, str]) -> str:
    """Name of the part without wrappers."""
    where, wrapped = host.where(part), host.name
    if wrapped and (where == wrapped or where.startswith(f"{wrapped}.")):
        return (plain[wrapped] + where[len(wrapped):]).lstrip(".")
    return where


def _serves(host: Host) -> str:
    if len(host.depths) < 2:
        return ""
    return f"one set of weights for depths {', '.join(map(str, host.depths))}"


def _notes(attention: str | None) -> tuple[str, ...]:
    if attention != "cta":
        return ()
    return ("bucket widths are a guess until sw.nn.widths.calibrate sets them",)
