"""How well the projections of Fig. 4 approximate a random matrix, for what they cost.

    python -m sw.studies.toy [--n 64] [--steps 600] [-o build/toy.png] [--report toy.json]

It takes a minute or two on one core; n = 128 about five times that.

A matrix n x n of independent normal entries is approximated by every projection at every size up
to the cost of the matrix itself, by Adam on the squared error of all its entries (no samples are
drawn). Each size runs at five learning rates at once and keeps the best, so that no projection is
judged by a rate that suits another; the worst is printed too, it tells what is hard to train.

Printed beside the relative squared error: parameters and FLOP, both relative to the vanilla
projection, and 1 - parameters / n^2, which is the error expected of a linear space of as many
dimensions: BH1 and ShuffleNet are such spaces, a product of matrices can do better.
"""

import math
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from model.command import Parser, refusing
from sw.io import plot
from sw.io.errors import InputError
from sw.io.writing import make_folder, require_writable, write_json
from sw.nn.descent import descend
from sw.nn.projections import PROJECTIONS, make_projection

__all__ = ["RATES", "sizes", "approximate", "main"]

RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Learning rates, as shares of the deviation or size that the parameters start with."""

STYLE = {
    "acdc": ("ACDC", plot.RED, "s"), "hadamard": ("Hadamard", plot.ORANGE, "D"),
    "shufflenet": ("ShuffleNet", plot.DARK, "x"), "bh1": ("BH1", plot.SKY, "o"),
    "bh2": ("BH2", plot.PURPLE, "o"), "bh3": ("BH3", plot.GREEN, "o"),
    "bh4": ("BH4", plot.BLUE, "o"),
}


def sizes(name: str, n: int) -> list[int]:
    """Depths or block sizes, powers of two, at which ``name`` has at most n^2 parameters."""
    found, size = [], 1 if name in ("acdc", "hadamard") else 2
    while size <= n and make_projection(name, n, n, size).parameters_count <= n * n:
        found.append(size)
        size *= 2
    return found


def _schedule(step: int, steps: int) -> float:
    """Share of the learning rate: a tenth of the steps up, which deep products need, the rest down
    along a cosine."""
    return min((step + 1) / max(1, steps // 10), (1 + math.cos(math.pi * step / steps)) / 2)


class _AdamOfCopies(torch.optim.Adam):
    """Adam with a rate for every copy in a parameter: its own is one number for all of them."""

    def __init__(self, parameter: torch.Tensor, rates: torch.Tensor):
        super().__init__([parameter], lr=1.0)
        self.parameter, self.rates = parameter, rates

    @torch.no_grad()
    def step(self):
        group, before = self.param_groups[0], self.parameter.clone()
        share, group["lr"] = group["lr"], 1.0
        super().step()
        self.parameter.copy_(before + self.rates * share * (self.parameter - before))


def approximate(name: str, size: int, target: torch.Tensor, steps: int,
                advance=lambda: None) -> list[float]:
    """Relative squared error that each of ``RATES`` ends with; inf where it diverged.

    ``target`` (n, n). A projection of as many copies as there are rates learns them all at once:
    copies share nothing, so the sum of their losses trains each as if alone.
    """
    n, scale = len(target), target.square().sum()
    projection = make_projection(name, n, len(RATES) * n, size)
    parameter, = projection.parameters()
    rate = torch.tensor(RATES) * parameter.detach().square().mean().sqrt()
    rate = rate.reshape(-1, *[1] * (parameter.dim() - 1))

    def errors():
        return (projection.matrix().unflatten(0, (-1, n)) - target).square().sum((1, 2)) / scale

    def objective(step, batch):
        yield errors().sum()

    # A copy that diverges is a result, and the others go on.
    for _ in descend(_AdamOfCopies(parameter, rate), range(steps), objective, finite=False,
                     rate=lambda step: _schedule(step, steps)):
        advance()
    with torch.no_grad():
        return [value if math.isfinite(value) else math.inf for value in errors().tolist()]


def run(n: int, steps: int, seed: int, progress: bool = False) -> list[dict]:
    """A row for every projection and size."""
    torch.manual_seed(seed)
    target = torch.randn(n, n) / math.sqrt(n)
    dense = make_projection("dense", n, n)
    tasks = [(name, size) for name in PROJECTIONS if name != "dense" for size in sizes(name, n)]
    rows = []
    with tqdm(total=steps * len(tasks), unit="step", disable=not progress, leave=False) as bar:
        for name, size in tasks:
            bar.set_description(f"{STYLE[name][0]} {size}")
            torch.manual_seed(seed + 1)
            errors = approximate(name, size, target, steps, bar.update)
            one = make_projection(name, n, n, size)
            best = min(range(len(RATES)), key=errors.__getitem__)
            rows.append({
                "projection": name, "size": size, "parameters": one.parameters_count,
                "flop": one.flop, "parameters_share": one.parameters_count / n**2,
                "flop_share": one.flop / dense.flop, "error": errors[best], "rate": RATES[best],
                "errors": errors, "linear_space": 1 - one.parameters_count / n**2})
    return rows


def _text(error: float) -> str:
    return f"{error:.4f}" if error < 10 else "diverged"


def show(rows: list[dict]) -> None:
    """The table."""
    print(f"{'':12}{'size':>6}{'parameters':>12}{'of n^2':>9}{'FLOP':>10}{'of 2n^2':>9}"
          f"{'error':>9}{'rate':>7}{'worst':>9}{'linear':>9}")
    for row in rows:
        print(f"{STYLE[row['projection']][0]:12}{row['size']:>6}{row['parameters']:>12,}"
              f"{row['parameters_share']:>9.3f}{row['flop']:>10,}{row['flop_share']:>9.3f}"
              f"{row['error']:>9.4f}{row['rate']:>7}{_text(max(row['errors'])):>9}"
              f"{row['linear_space']:>9.4f}")
    print("\nsize: depth of ACDC and Hadamard, block of the others\n"
          "error: squared, relative to the matrix, at the best of the learning rates "
          + ", ".join(map(str, RATES)) + "; worst: at the worst\n"
          "linear: expected of a linear space of as many parameters")


def draw(path, rows: list[dict], n: int) -> None:
    """Error against FLOP and against parameters: lines at the best rate, faint points at the
    others. What costs more than the matrix is shaded."""
    plt = plot.pyplot()
    figure, panels = plt.subplots(1, 2, figsize=(12, 5), layout="constrained", sharey=True)
    for axes, key, vanilla, label in ((panels[0], "flop", 2 * n * n, "FLOP a token"),
                                      (panels[1], "parameters", n * n, "parameters")):
        for name, (title, colour, marker) in STYLE.items():
            of = [row for row in rows if row["projection"] == name]
            axes.plot([row[key] for row in of], [row["error"] for row in of], marker=marker,
                      color=colour, label=title, markersize=5, linewidth=1.6)
            for row in of:              # the other rates
                axes.plot([row[key]] * len(row["errors"]), row["errors"], marker, color=colour,
                          markersize=3, alpha=0.35)
        axes.set_xscale("log", base=2)
        axes.axvline(vanilla, color=plot.DARK, linestyle="--", linewidth=1)
        right = max(axes.get_xlim()[1], 1.2 * vanilla)
        axes.axvspan(vanilla, right, color="#F1F3F5", zorder=0)
        axes.set_xlim(right=right)
        axes.set_xlabel(label)
        axes.set_title(f"Error against {label.partition(' ')[0]}")
        axes.grid(color="#E4E7EA", linewidth=0.6)
        axes.set_axisbelow(True)
    panels[0].set_ylim(0, 1.05)
    panels[0].set_ylabel(f"squared error, relative; random matrix, n = {n}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center",
                  ncols=len(STYLE))
    plot.save(figure, path)


@refusing("sw.studies.toy", InputError)
def main(argv=None) -> int:
    parser = Parser(prog="sw.studies.toy", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--n", type=int, default=64, help="order of the matrix, a power of two")
    parser.add_argument("--steps", type=int, default=600, help="of gradient descent for each size")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--output", default="build/toy.png", help="the plot")
    parser.add_argument("--report", metavar="FILE", help="the numbers as JSON")
    args = parser.parse_args(argv)
    if args.n < 4 or args.n > 1024 or args.n & (args.n - 1):
        parser.error(f"--n is {args.n}, must be a power of two in 4..1024")
    for name in ("steps", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}, must be at least 1")
    if args.output == parser.get_default("output"):
        make_folder(Path(args.output).parent)
    require_writable(args.output, args.report)
    torch.set_num_threads(args.threads)
    rows = run(args.n, args.steps, args.seed, progress=sys.stderr.isatty())
    show(rows)
    draw(args.output, rows, args.n)
    if args.report:
        for row in rows:                # JSON knows no infinity
            row["errors"] = [e if math.isfinite(e) else None for e in row["errors"]]
            row["error"] = row["error"] if math.isfinite(row["error"]) else None
        write_json(args.report, {"n": args.n, "steps": args.steps, "seed": args.seed,
                                 "rates": RATES, "torch": torch.__version__,
                                 "vanilla_flop": 2 * args.n**2, "vanilla_parameters": args.n**2,
                                 "rows": rows})
    print(f"\nplot: {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
