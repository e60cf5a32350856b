"""``sw.run lookup``: one LookupFFN layer of a file."""

from model.command import given
from model.lookup.job import Order
from sw.run import layer_file
from sw.run.layer import PreparedLayer, prepare
from sw.run.subcommand import Subcommand
from sw.sim.engines import ENGINES

__all__ = ["LayerCommand", "add_order", "order_of"]

_ORDERS = {order.name.lower().replace("_", "-"): order for order in Order}


def add_order(parser) -> None:
    """The flag for the order of a gather."""
    parser.add_argument("--order", choices=list(_ORDERS), default=next(iter(_ORDERS)),
                        help="of the gather of a LookupFFN layer; table-major: a table is read once "
                        "for a batch of tokens")


def order_of(args) -> Order:
    """The order of a gather that a command line asks for."""
    return _ORDERS[args.order]


class LayerCommand(Subcommand):
    """The command for a layer; see :class:`sw.run.subcommand.Subcommand`."""

    ENGINE = ENGINES["lookup"]
    NOUN = "layer"
    HELP = "LookupFFN, a feed-forward network as table look-ups"
    DESCRIPTION = ("Keys of the input: x (t, d); blocks (r, 4, n/bs, bs, bs) as [out, in], or dense "
                   "(h*tau, d); z_bias (h*tau,), tables (h, 2**tau, d), out_bias (d,); optionally skip "
                   "(coefficients of x and of BH4(x), default 0.3 and 0.7) and residual (t, d). Keys "
                   "of the output: y, y_fixed, codes.")
    ELSEWHERE = dict.fromkeys(("d", "h", "tau", "block", "projection", "residual"), "as the layer has")

    def add_flags(self, parser) -> None:
        """The order of the gather."""
        add_order(parser)

    def prepare(self, args) -> PreparedLayer:
        """The layer of the file on the engine that it asks for."""
        real = layer_file.read_layer(args.input)
        cfg = layer_file.make_config(real, given(self.ENGINE.config, args), args.config)
        return prepare(cfg, real, order_of(args))

    def outputs(self, output, result) -> dict:
        """Outputs and codes."""
        return {"y": output, "y_fixed": result.y, "codes": result.codes}

    def title(self, data) -> str:
        """Sizes."""
        config = data["config"]
        block = f", block {config['block']}" if config["projection"] == "bh4" else ""
        return (f"{data['backend']}: t {data['tokens']}, d {config['d']}, h {config['h']}, "
                f"tau {config['tau']}, {config['projection']}{block}")

    def notes(self, data) -> list[str]:
        """Rows, costs and cycles."""
        cost, cycles = data["cost"], data["cycles"]
        return [f"wrong rows: {data['wrong_rows']:.2%}",
                f"FLOP a token: {cost['flop']:,}, {cost['vanilla_flop']:,} without tables",
                f"table bytes read: {data['table_bytes']:,}",
                f"cycles: {cycles['total']}, {cycles['per_token']:.0f} a token, "
                f"at least {cost['bound']} ({cycles['source']})"]
