"""Random cycles for one PE: both dataflows, every way to a new value, the result chain."""

from gen.cta.pe import PEControl
from verif.port_table import PortTable

__all__ = ["random_program"]


def random_program(cfg, rng, cycles=400):
    """Every control and data input free in every cycle.

    A product and a sum have no model but themselves: what is stated here is when they are due.
    """
    table, fast = PortTable(), cfg.program.fast

    def wrapped(value, fmt):
        return (value - fmt.min) % (1 << fmt.width) + fmt.min

    def raw(fmt):
        ends = fmt.min, fmt.max, 0
        return int(rng.choice(ends) if rng.random() < 0.3 else rng.integers(fmt.min, fmt.max + 1))

    data = {"x_in": cfg.left, "ap_in": cfg.value, "sum_in": cfg.acc, "shortcut": cfg.value,
            "shadow_in": cfg.value, "res_in": cfg.acc, **({"y_in": cfg.value} if fast else {})}
    control = {"df2": 0.5, "first": 0.3, "sc": 0.1, "swap": 0.3, **({"pair": 0.5} if fast else {})}
    bits = control | {"svc": 0.1, "push": 0.5, "shift": 0.4}
    inputs = [{name: raw(fmt) for name, fmt in data.items()}
              | {name: int(rng.random() < share) for name, share in bits.items()}
              for _ in range(cycles)]

    value = total = result = shadow = held = second = None
    for c, now in enumerate(inputs):
        now["swap"] &= (held if fast else shadow) is not None
        if fast:
            now["pair"] &= second is not None or now["swap"]
        ctl = PEControl(cfg).const({name: now[name] for name in control}).as_bits()
        table.drive[c] |= {(name, None): now[name] for name in data}
        table.drive[c] |= {(name, None): now[name] for name in ("push", "svc", "shift")}
        table.drive[c]["ctl_in", None] = ctl

        # The value that meets x of this cycle.
        if now["svc"] or now["sc"]:
            value = now["shortcut"]
        elif now["df2"]:
            value = now["ap_in"]
        elif now["swap"]:
            value = shadow
        expect, x = table.expect[c + 1], now["x_in"]
        if fast:       # two registers of the load, and the sums that run along
            second = held if now["swap"] else second
            held = shadow if now["push"] else held
            x = wrapped(x + second, cfg.left) if now["pair"] else x
        shadow = now["shadow_in"] if now["push"] else shadow
        expect["x_out", None], expect["ctl_out", None] = x, ctl
        if (held if fast else shadow) is not None:
            expect["shadow_out", None] = held if fast else shadow
        if value is None:
            continue
        expect["ap_out", None], factor = value, value
        if fast:
            alone = now["svc"] or now["sc"] or now["df2"]
            pair = now["pair"] and not alone
            factor = expect["y_out", None] = wrapped(value + now["y_in"] * pair, cfg.value)

        # Its product meets what is there two cycles later.
        if c + 2 >= cycles:
            continue
        product, then = x * factor, inputs[c + 2]
        if not now["df2"]:
            total = then["sum_in"] + product
            result = then["res_in"] if then["shift"] else result
        elif now["first"] or result is not None:
            result = (0 if now["first"] else result) + product
        for name, due in (("sum_out", total), ("res_out", result)):
            if due is not None:
                table.expect[c + 3][name, None] = due
    return table
