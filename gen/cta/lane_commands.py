"""What the lanes obey, a cycle each: reads for the array and for CAG, and writes into the banks."""

from amaranth.lib import data

from gen.blocks.memory import address_width
from gen.cta.pe import PEControl
from model.cta.config import CTAConfig

__all__ = ["CentroidRead", "CentroidWrite", "LaneCommand", "LinearWrite", "LoadWrite", "ValueRead",
           "WriteBack"]


class ValueRead(data.StructLayout):
    """A value for the array on its way to the second value registers, with ``push``.

    At most one of the banks reads, at ``addr``, and none where the column is empty. A token is brought
    to the format of a centroid. Where weights stay, values are weights and queries alone. With fast
    products ``push`` is of the value that was read two cycles before, and what is read now is taken from it
    with ``less``.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({"push": 1, **({"less": 1} if cfg.program.fast else {}),
                          **dict.fromkeys(self.banks(cfg), 1),
                          "addr": address_width(cfg.bank_depth)})

    @staticmethod
    def banks(cfg: CTAConfig) -> tuple[str, ...]:
        """What values are read from."""
        return ("weight", "query") if cfg.program.weights_stay else ("token", "weight", "key", "value")


class LaneCommand(data.StructLayout):
    """What a lane reads and how it drives the array; enters lane 0 and climbs a row a cycle.

    At most one of the banks reads, at ``addr``. ``residual`` subtracts row ``c1_addr`` of C1 from the
    token. ``pe`` goes to the array with the x that this command reads. ``shadow`` reads a value beside
    it, of another bank. Where weights stay none is an operand, and ``centroid`` brings a token to the
    format of a centroid; it is ``counted`` if it saturates. With fast products ``pe.pair`` reads the same row
    of the next slice as well, from the other bank of the two.
    """

    def __init__(self, cfg: CTAConfig):
        super().__init__({
            **dict.fromkeys(self.banks(cfg), 1), "residual": 1,
            **({"centroid": 1, "counted": 1} if cfg.program.weights_stay else {}),
            "addr": address_width(cfg.bank_depth), "c1_addr": address_width(cfg.value_depth),
            "pe": PEControl(cfg), "shadow": ValueRead(cfg),
        })

    @staticmethod
    def banks(cfg: CTAConfig) -> tuple[str, ...]:
        """What operands are read from."""
        return ("token", "key", "value") if cfg.program.weights_stay else ("token", "weight", "key", "value")


class WriteBack(data.StructLayout):
    """``en``: what column ``col`` shows at the top is written to row ``addr`` of a bank: of K and V,
    to the value bank with ``v`` and to the key bank without."""

    def __init__(self, cfg: CTAConfig, depth: int):
        super().__init__({"en": 1, "v": 1, "col": address_width(cfg.b), "addr": address_width(depth)})


def LinearWrite(cfg: CTAConfig) -> data.StructLayout:
    """Write-back of a linear. Where centroids stay, :class:`WriteBack` of a row of K or V. Where weights
    stay, ``en``: what the columns show is row ``addr`` of dimensions ``group`` * b and up, of Q with
    ``q``, of V with ``v``, else of K."""
    if not cfg.program.weights_stay:
        return WriteBack(cfg, cfg.row_depth)
    return data.StructLayout({"en": 1, "v": 1, "q": 1, "group": address_width(-(-cfg.d // cfg.b)),
                              "addr": address_width(cfg.row_depth)})


class CentroidRead(data.StructLayout):
    """``en``: CACC reads token row ``addr``, less a row of C1 if ``residual`` is set: row ``c1_addr`` of
    the value bank, or with ``copy`` of the key bank."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"en": 1, "residual": 1, "copy": 1, "addr": address_width(cfg.token_depth),
                          "c1_addr": address_width(cfg.row_depth)})


class CentroidWrite(data.StructLayout):
    """CAVG writes a finished centroid to row ``key_addr`` of the key bank, to row ``value_addr`` of the
    value bank, or to both."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"key": 1, "value": 1, "key_addr": address_width(cfg.key_depth),
                          "value_addr": address_width(cfg.value_depth)})


class LoadWrite(data.StructLayout):
    """The loader writes to row ``addr`` of the token bank or of the weight bank."""

    def __init__(self, cfg: CTAConfig):
        super().__init__({"token": 1, "weight": 1,
                          "addr": address_width(max(cfg.token_depth, cfg.weight_depth))})
