"""What a cocotb bench is, and what one finds about its run."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from amaranth.hdl import Module
from amaranth.lib import wiring

from gen.engines import ENGINES
from gen.manifest import ports

__all__ = ["Bench", "Wrapped", "seed", "config", "inputs", "environment"]

@dataclass(frozen=True)
class Bench:
    """A bench: ``factory(cfg)`` gives the component, ``module`` holds the cocotb tests, which run
    once for every configuration (keyword arguments of the configuration of ``engine``)."""

    module: str
    factory: Callable
    configs: tuple[dict, ...] = field(default=({},))
    engine: str = "cta"

    def configuration(self, parameters: dict):
        """The configuration object of one of ``configs``."""
        return ENGINES[self.engine].config(**parameters)


class Wrapped(wiring.Component):
    """A module of its own around a component that is an instance or has no Verilog name."""

    def __init__(self, inner, module_name):
        self.module_name, self.inner = module_name, inner
        super().__init__(dict(inner.signature.members))

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        wiring.connect(m, wiring.flipped(self), self.inner)
        return m


def environment(bench: Bench, cfg, run_seed: int, component) -> dict[str, str]:
    """What :func:`seed`, :func:`config` and :func:`inputs` read in the process of the simulation."""
    names = [port for port, direction, *_ in ports(component) if direction == "input"]
    return {"HASHLAYER_SEED": str(run_seed), "HASHLAYER_ENGINE": bench.engine,
            "HASHLAYER_CONFIG": json.dumps(cfg.as_dict()), "HASHLAYER_INPUTS": " ".join(names)}


def seed() -> int:
    """The seed of this run; for use inside a bench."""
    return int(os.environ["HASHLAYER_SEED"])


def inputs() -> list[str]:
    """The input ports of the component, without clock and reset: a simulator may show more signals."""
    return os.environ["HASHLAYER_INPUTS"].split()


def config():
    """The configuration of this run; for use inside a bench."""
    engine = ENGINES[os.environ["HASHLAYER_ENGINE"]].config
    return engine.from_dict(json.loads(os.environ["HASHLAYER_CONFIG"]))
