"""Write an export: one image a layer and the manifest, all or nothing.

    from sw.exported.writer import export
    export(model, "export/", meta={"made by": "me"})

The same layers give the same bytes: no date, no path.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from model.files import granted, write_bytes
from sw.exported.codec import ImageError, encode
from sw.exported.layer import AttentionLayer, FFNLayer
from sw.exported.manifest import FILE, claimed, describe, document, dump
from sw.exported.reader import read

__all__ = ["export", "model_layers"]

NAME = 200    # characters of a layer's name that go into its file name


def export(model, folder, *, layers: Iterable[str] | None = None, meta: dict | None = None) -> dict:
    """Write the quantised layers of ``model`` to ``folder``; gives the manifest.

    Parameters
    ----------
    model : a torch model with quantised layers (``sw.quant``), or a dict of
        :class:`AttentionLayer` and :class:`FFNLayer` by name.
    folder : made anew. An export that is there already is replaced once the new one is complete.
    layers : names of the layers to write; all of them by default.
    meta : anything that is JSON; it goes into the manifest unread.

    The manifest says of every tensor how many elements saturated when it became integers; a share
    of :data:`model.border.LARGE` is warned of (:class:`model.border.SaturationWarning`).

    Raises :class:`ImageError` where a layer is not quantised or cannot be built, for an unknown
    name, and for a folder that holds anything but an export.
    """
    names = None if layers is None else list(layers)
    found = _picked(model, names) if isinstance(model, dict) else model_layers(model, names)
    for name, layer in found.items():
        if not isinstance(name, str) or not isinstance(layer, (AttentionLayer, FFNLayer)):
            raise ImageError(f"layer {name!r} is {type(layer).__name__}, must be AttentionLayer or "
                             "FFNLayer")
    folder = Path(folder)
    _require_replaceable(folder)
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=folder.absolute().parent, prefix=f".{folder.name}."))
    except OSError as error:
        raise ImageError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        manifest = _write(fresh, found, {} if meta is None else meta)
        read(fresh)    # what is handed out has been read back once
        fresh.chmod(granted(0o777))
        _replace(fresh, folder)
    except OSError as error:
        raise ImageError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return manifest


def model_layers(model, names: Iterable[str] | None = None) -> dict[str, AttentionLayer | FFNLayer]:
    """The integers of the quantised layers of a torch model, by name, in its order.

    Those are the modules with an attribute ``fake``; each must have one that knows its integers,
    or its name must be left out of ``names``.
    """
    from sw.nn.intact import require_plain
    from sw.nn.names import plain_names
    plain = plain_names(model)
    modules = _picked({plain[name]: module for name, module in model.named_modules()
                       if hasattr(module, "fake")}, names)
    for name, module in modules.items():
        if not hasattr(module.fake, "layer"):
            raise ImageError(f"layer {name} is not quantised: call sw.quant.model.quantise_model "
                             "first, or name in layers those to write")
    for name, module in modules.items():
        if hasattr(module, "heads") and hasattr(module, "q"):
            try:
                require_plain(module, f"layer {name} cannot be exported")
            except ValueError as error:
                raise ImageError(str(error)) from None
    return {name: module.fake.layer(module) for name, module in modules.items()}


def _picked(found, names):
    """Those of ``found`` with one of the ``names``, in its order; not none."""
    if not found:
        raise ImageError("there is no layer to export: the model has no CTA and no LookupFFN")
    for name in names or ():
        if name not in found:
            raise ImageError(f"layer {name!r} is unknown, must be one of "
                             f"{', '.join(map(str, found))}")
    if names == []:
        raise ImageError("layers is empty, must name at least one")
    return {name: item for name, item in found.items() if names is None or name in names}


def _write(folder, found, meta):
    described = []
    for at, (name, layer) in enumerate(found.items()):
        layer.borders.warn(f"layer {name}", stacklevel=3)
        try:
            image = encode(layer)
        except ImageError as error:
            raise ImageError(f"layer {name}: {error}") from None
        file = f"{at:03}-{re.sub('[^A-Za-z0-9._-]', '_', name)[:NAME]}.bin"
        write_bytes(folder / file, image.data)
        described.append(describe(name, layer, image, file))
    manifest = document(described, meta)
    write_bytes(folder / FILE, dump(manifest))
    return manifest


def _require_replaceable(folder):
    """Raise unless ``folder`` is free, or empty, or an export and nothing else."""
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir() or folder.is_symlink():
        raise ImageError(f"{folder} cannot be written: it exists and is not a folder")
    there = {path.name for path in folder.iterdir()}
    if not there:
        return
    try:
        own = claimed((folder / FILE).read_bytes())
    except (ImageError, OSError):
        raise ImageError(f"{folder} cannot be written: it is there and is not an export") from None
    if there - own:
        raise ImageError(f"{folder} cannot be replaced: it also holds "
                         f"{', '.join(sorted(there - own))}")


def _replace(fresh, folder):
    """Put ``fresh`` in place of ``folder``."""
    if not folder.exists():
        fresh.rename(folder)
        return
    # A folder that is not empty cannot be replaced in one step: the old one steps aside.
    aside = Path(tempfile.mkdtemp(dir=fresh.parent, prefix=f".{folder.name}.")) / "old"
    folder.rename(aside)
    try:
        fresh.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside.parent, ignore_errors=True)
