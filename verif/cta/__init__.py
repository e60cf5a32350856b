"""Benches of the CTA engine: what is built, in which configurations, and the tests it meets.

A configuration is keyword arguments of :class:`CTAConfig`. Factories import late, so that one
bench does not need the blocks of another.
"""

from verif.bench import Bench, Wrapped

__all__ = ["BENCHES"]

SMALL = ({"b": 2, "d": 8, "l": 1, "n": 8}, {"b": 4, "d": 8, "l": 3, "n": 16, "dw": 24})


def _sram(cfg):
    from gen.blocks.memory import SRAM
    ports = {2: "1rw1r", 8: "1rw"}.get(cfg.b, "1r1w")
    return Wrapped(SRAM(width=cfg.d * cfg.fmt.token.width, depth=cfg.n - 1, ports=ports), "sram")


def _pe(cfg):
    from gen.cta.pe import PE
    return PE(cfg)


def _array(cfg):
    from gen.cta.columns import Columns
    return Columns(cfg)


def _ppe(cfg):
    from gen.cta.ppe_row import PPERow
    return PPERow(cfg)


def _probability(cfg):
    from gen.cta.probability import Probability
    return Probability(cfg)


def _cluster_index(cfg):
    from gen.cta.cluster_index import ClusterIndex
    return ClusterIndex(cfg)


def _centroid(cfg):
    from gen.cta.centroid import CentroidAggregation
    return CentroidAggregation(cfg)


def _sequencer(cfg):
    from verif.cta.sequencer_top import SequencerTop
    return SequencerTop(cfg)


def _cta(cfg):
    from gen.cta.top import CTA
    return CTA(cfg)


BENCHES = {
    "sram": Bench("verif.cta.bench_sram", _sram, ({"b": 2, "d": 8, "n": 2}, {"b": 2, "n": 12},
                                                  {"b": 4, "d": 128, "n": 17}, {"n": 14})),
    "pe": Bench("verif.cta.bench_pe", _pe, ({"b": 2, "d": 8, "n": 2}, {}, {"dw": 128, "products": "fast"})),
    "systolic_array": Bench("verif.cta.bench_systolic_array", _array, (
        {"b": 2, "d": 8, "l": 5, "n": 16, "dw": 16}, {"b": 4, "d": 8, "l": 8, "n": 16},
        {"b": 16, "d": 8, "n": 16}, {"b": 16, "d": 8, "l": 8, "n": 16, "dw": 24},
        {"b": 4, "d": 8, "l": 3, "n": 16, "dw": 32, "products": "fast"})),
    "ppe": Bench("verif.cta.bench_ppe", _ppe, ({"b": 2, "d": 8, "l": 5, "n": 16},
                                               {"b": 8, "d": 16, "n": 2048})),
    "cluster_index": Bench("verif.cta.bench_cluster_index", _cluster_index,
                           ({"b": 4, "d": 8, "l": 3, "n": 40, "k0": 5, "k1": 40, "k2": 17},
                            {"b": 2, "d": 8, "l": 5, "n": 24, "digit": 4}, {"b": 8, "n": 512})),
    "centroid": Bench("verif.cta.bench_centroid", _centroid,
                      ({"b": 4, "d": 8, "n": 24}, {"b": 2, "d": 8, "dw": 24, "n": 19, "k2": 11},
                       {"b": 2, "d": 8, "dw": 32, "n": 19, "k2": 11, "products": "fast"},
                       {"b": 8, "d": 64, "n": 64})),
    "probability": Bench("verif.cta.bench_probability", _probability,
                         ({"b": 2, "d": 8, "n": 40, "k1": 5, "k2": 3, "pag": 2},
                          {"b": 4, "d": 8, "n": 60, "k1": 60, "k2": 7, "pag": 4},
                          {"b": 8, "d": 64, "n": 128})),
    "sequencer": Bench("verif.cta.bench_sequencer", _sequencer, (
        {"b": 4, "d": 8, "l": 2, "n": 12}, {"b": 16, "d": 8, "dw": 16, "l": 8, "n": 11},
        {"b": 2, "d": 8, "dw": 32, "l": 3, "n": 15, "products": "fast"})),
    "cta": Bench("verif.cta.bench_cta", _cta, (
        {"b": 2, "d": 8, "l": 3, "n": 12}, {"b": 4, "d": 8, "dw": 16, "l": 5, "n": 20, "k0": 12,
                                            "k1": 9, "k2": 5, "pag": 2, "sets": 2, "lanes": 4},
        {"b": 4, "d": 8, "dw": 32, "l": 5, "n": 20, "k0": 12, "k1": 9, "k2": 5, "tokens": 29,
         "products": "fast"})),
}
