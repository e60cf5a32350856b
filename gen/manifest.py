"""What an integrator needs beside the Verilog: ports, streams and fields as plain data."""

import importlib.metadata

from amaranth.hdl import Shape, Value
from amaranth.lib import data
from amaranth.lib.wiring import In

from gen import __version__

__all__ = ["ports", "streams", "manifest"]


def ports(component) -> list[tuple[str, str, object, Value]]:
    """Ports of a component as ``(name, "input" | "output", shape, value)``, in signature order."""
    return [("__".join(map(str, path)), "input" if member.flow == In else "output",
             member.shape, Value.cast(value))
            for path, member, value in component.signature.flatten(component)]


def streams(component) -> list[str]:
    """Names of the streams among the members of a component."""
    return [key for key, member in component.signature.members.items()
            if member.is_signature and set(member.signature.members) == {"payload", "valid", "ready"}]


def _fields(shape) -> list[dict]:
    """Fields of a struct shape, low bits first; a plain shape has none."""
    if not isinstance(shape, data.StructLayout):
        try:
            shape = data.Layout.cast(shape)
        except TypeError:
            return []
    return [{"name": str(key), "offset": field.offset, "width": field.width,
             "signed": Shape.cast(field.shape).signed}
            for key, field in shape]


def manifest(component, *, cfg: dict | None = None, digest: str = "", name: str | None = None,
             **more) -> dict:
    """What an integrator needs beside the Verilog, as plain data for JSON.

    ``ports`` are the Verilog ports; ``streams`` groups the valid/ready streams among them with
    their direction (seen from inside) and the fields of their payload.
    """
    wires = []
    for port, way, shape, value in ports(component):
        wires.append({"name": port, "dir": way, "width": len(value),
                      "signed": Shape.cast(shape).signed, "fields": _fields(shape)})
    described = {}
    for key in streams(component):
        payload = next(w for w in wires if w["name"] == f"{key}__payload")
        described[key] = {"dir": payload["dir"], "width": payload["width"],
                          "fields": payload["fields"]}
    return {"module": name or component.module_name, "generator": f"hashlayer {__version__}",
            "amaranth": importlib.metadata.version("amaranth"), "digest": digest,
            "config": cfg or {}, "clock": "clk", "reset": "rst, synchronous, active high",
            "ports": wires, "streams": described, **more}
