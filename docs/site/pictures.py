"""The pictures of *How it works*, drawn from the numbers of the worked examples.

``python -m docs.site.pictures`` writes them into ``docs/img/how``; ``tests/docs/test_pages.py``
draws them again and compares.
"""

import sys
from pathlib import Path

from docs.site.example import LOOKUP, WORDS, attention, feed_forward
from docs.site.svg import COLOURS, INK, Svg
from model.files import write_text

__all__ = ["PICTURES", "main"]

FOLDER = Path(__file__).resolve().parents[1] / "img" / "how"


def machine() -> Svg:
    """One layer of a Transformer, and which engine computes what of it."""
    s = Svg(860, 330)
    s.text(430, 24, "One encoder layer: two engines, and what the host keeps", 15, bold=True)
    s.box(20, 130, 90, 60, ("tokens", "n vectors"), "data")
    s.box(150, 60, 270, 200, (), "plain")
    s.text(285, 82, "CTA engine: attention", bold=True)
    for at, (lines, fill) in enumerate(
        (
            (("hash, cluster", "n tokens to k means"), "cluster"),
            (("systolic array", "b × d multipliers"), "unit"),
            (("probabilities", "by cluster"), "memory"),
        )
    ):
        s.box(165, 95 + 53 * at, 240, 45, lines, fill)
    s.line((110, 160), (150, 160), arrow=True)
    s.box(445, 130, 90, 60, ("host", "adds, norm"), "control")
    s.line((420, 160), (445, 160), arrow=True)
    s.box(560, 60, 190, 200, (), "plain")
    s.text(655, 82, "LookupFFN engine", bold=True)
    for at, (lines, fill) in enumerate(
        (
            (("projection", "blocks and Hadamard"), "unit"),
            (("hash", "signs to rows"), "cluster"),
            (("gather", "weighted rows, summed"), "memory"),
        )
    ):
        s.box(575, 95 + 53 * at, 160, 45, lines, fill)
    s.line((535, 160), (560, 160), arrow=True)
    s.box(770, 130, 80, 60, ("host", "adds, norm"), "control")
    s.line((750, 160), (770, 160), arrow=True)
    s.box(560, 280, 190, 36, ("table memory",), "memory")
    s.line((620, 260), (620, 280), arrow=True)
    s.line((690, 280), (690, 260), arrow=True)
    s.box(150, 280, 270, 36, ("tokens, weights in; outputs, status out",), "data", bold=False)
    s.line((240, 280), (240, 260), arrow=True)
    s.line((330, 260), (330, 280), arrow=True)
    return s


def _plane(s, left, top, size, low, high, width, offset):
    """Axes of a plane with the edges of its buckets; gives the place of a point."""

    def place(x, y):
        return (
            left + (x - low) / (high - low) * size,
            top + size - (y - low) / (high - low) * size,
        )

    s.box(left, top, size, size)
    edge = -offset
    while edge > low:
        edge -= width
    while edge < high:
        if edge > low:
            s.line(place(edge, low), place(edge, high), colour="#9AA4AE", dash="4 3", width=1)
            s.line(place(low, edge), place(high, edge), colour="#9AA4AE", dash="4 3", width=1)
        edge += width
    return place


def _level(t, level: int, points, of: str, title: str, axis: str, *plane) -> Svg:
    """The points of a level in the plane of the two hash functions, each in the colour of its cluster."""
    s = Svg(560, 400)
    place = _plane(s, 40, 40, 320, *plane)
    s.text(200, 26, title, 14, bold=True)
    s.text(200, 382, axis)
    table, centroids = t[f"ct{level}"], t[f"c{level}"]
    for j, (point, word) in enumerate(zip(points, WORDS)):
        at = place(*point)
        s.dot(*at, COLOURS[table[j]])
        s.text(at[0] + 7, at[1] - 5, f"{j} {word}", 11, "start")
    for i, c in enumerate(centroids):
        s.cross(*place(*c), COLOURS[i])
        s.cross(390, 80 + 50 * i - 4, COLOURS[i])
        s.text(404, 80 + 50 * i, f"C{level}[{i}] = ({c[0]:.2f}, {c[1]:.2f})", anchor="start")
        s.text(404, 98 + 50 * i, f"mean of {list(table).count(i)} {of}", 11.5, "start")
    return s


def buckets() -> Svg:
    """Level 1: tokens in the plane of the two hash functions."""
    t = attention()
    s = _level(t, 1, t["x"], "tokens", "Level 1: one bucket, one cluster", "first hash function: x[0]",
               -0.2, 3.0, 1.0, 0)
    s.text(378, 300, "dashed: edges of the buckets,", 11.5, "start")
    s.text(378, 316, "w = 1 wide", 11.5, "start")
    return s


def residuals() -> Svg:
    """Level 2: what the means of level 1 leave of the tokens."""
    t = attention()
    s = _level(t, 2, t["residual"], "residuals", "Level 2: what is left, clustered again",
               "residual r = x − C1, first element", -0.4, 0.4, 0.32, 0.16)
    s.text(378, 300, "buckets are .32 wide", 11.5, "start")
    return s


def tree() -> Svg:
    """The cluster tree: a code is a way from the root to a leaf."""
    t = attention()
    s = Svg(620, 270)
    s.text(310, 22, "Cluster tree of level 1: codes are ways, leaves are clusters", 14, bold=True)
    s.box(270, 36, 80, 34, ("root",), "control")
    ways = {}
    for code, ct in zip(t["codes1"].tolist(), t["ct1"]):
        ways.setdefault(tuple(code), int(ct))
    for at, (code, ct) in enumerate(ways.items()):
        x = 110 + 200 * at
        s.box(x - 45, 110, 90, 34, (f"h0 = {code[0]}",), "cluster", bold=False)
        s.box(x - 60, 180, 120, 50, (f"cluster {ct}", f"h1 = {code[1]}"), "data")
        s.line((310, 70), (x, 110), arrow=True)
        s.line((x, 144), (x, 180), arrow=True)
        s.text(x, 250, "tokens " + ", ".join(str(j) for j in range(8) if t["ct1"][j] == ct), 11.5)
    return s


def scores() -> Svg:
    """The small score matrix, and the pair of scores that one token takes."""
    t = attention()
    k1, k2, token = t["k1"], t["k2"], 4
    s = Svg(720, 300)
    s.text(
        360,
        22,
        f"Scores of {t['k0']} × ({k1} + {k2}) clusters stand for 8 × 8 tokens",
        14,
        bold=True,
    )
    for x in range(k1 + k2):
        left = 110 + 72 * x + (20 if x >= k1 else 0)
        s.text(left + 34, 56, f"K1[{x}]" if x < k1 else f"K2[{x - k1}]", bold=True)
        for i in range(t["k0"]):
            chosen = i == 0 and x in (t["ct1"][token], k1 + t["ct2"][token])
            s.box(
                left,
                66 + 44 * i,
                68,
                38,
                (f"{t['s'][i, x]:.2f}",),
                "#FFE08A" if chosen else "memory",
                bold=chosen,
            )
    for i in range(t["k0"]):
        s.text(70, 90 + 44 * i, f"Q[{i}]", bold=True)
    one, two = t["s"][0, t["ct1"][token]], t["s"][0, k1 + t["ct2"][token]]
    s.text(
        360,
        232,
        f"token {token} “{WORDS[token]}”: key cluster {t['ct1'][token]}, residual cluster "
        f"{t['ct2'][token]}",
        13,
    )
    s.text(360, 254, f"p = 2^({one:.2f} + ({two:.2f})) = {2 ** (one + two):.3f}", 14, bold=True)
    s.text(
        360,
        276,
        "p is added to the sums of both clusters; the same is done for every token and query",
        12,
    )
    return s


def array() -> Svg:
    """The systolic array: what stands, what walks, what leaves."""
    s = Svg(700, 380)
    s.text(350, 22, "The array: values stand, operands go right, sums go up", 14, bold=True)
    for j in range(4):
        s.box(220 + 80 * j, 56, 66, 34, ("PPE",), "cluster")
        for i in range(3):
            s.box(220 + 80 * j, 116 + 62 * i, 66, 42, ("PE", "× +"), "unit")
            s.line(
                (253 + 80 * j, 116 + 62 * i),
                (253 + 80 * j, (90 if i == 0 else 96 + 62 * i)),
                arrow=True,
            )
            s.line(
                (286 + 80 * j if j < 3 else 526, 137 + 62 * i),
                (300 + 80 * j if j < 3 else 548, 137 + 62 * i),
                arrow=True,
            )
        s.line((253 + 80 * j, 56), (253 + 80 * j, 40), arrow=True)
        s.line((253 + 80 * j, 318), (253 + 80 * j, 284), arrow=True)
    for i in range(3):
        s.box(60, 116 + 62 * i, 110, 42, (f"lane {2 - i}", "its banks"), "memory")
        s.line((170, 137 + 62 * i), (220, 137 + 62 * i), arrow=True)
    s.text(370, 334, "partial sums and biases come in below", 12)
    s.text(195, 354, "row i starts i cycles after row 0, column j another j cycles later", 12)
    s.text(620, 76, "bias, 1/w, rounding,", 12)
    s.text(620, 92, "maximum, 1/sum", 12)
    return s


def projection() -> Svg:
    """LookupFFN: one token through four stages of blocks and Hadamard transforms."""
    t = feed_forward()
    rows = [("x", t["x"])]
    for j, (block, transformed) in enumerate(t["stages"]):
        rows += [(f"blocks {j}", block), (f"Hadamard {j}", transformed)]
    rows.append(("z", t["z"]))
    s = Svg(700, 50 + 40 * len(rows))
    s.text(
        350,
        22,
        "One token: two blocks of 4 × 4, then every element with every other",
        14,
        bold=True,
    )
    most = max(abs(float(v)) for _, values in rows for v in values)
    for at, (name, values) in enumerate(rows):
        y = 36 + 40 * at
        s.text(20, y + 22, name, anchor="start", bold=name in "xz")
        for i, value in enumerate(values):
            x, size = 120 + 70 * i, 24 * abs(float(value)) / most
            s.box(x, y, 62, 32, (), "plain")
            s.parts.append(
                f'<rect x="{x + 1}" y="{y + 31 - size:.1f}" width="8" height="{size:.1f}" '
                f'fill="{COLOURS[int(value < 0)]}"/>'
            )
            s.text(x + 36, y + 21, f"{value:.2f}", 11.5)
        if name.startswith("blocks"):
            s.line((395, y - 3), (395, y + 36), colour=INK, width=3)
    return s


def gather() -> Svg:
    """LookupFFN: signs choose rows, weights add them up."""
    t = feed_forward()
    s = Svg(760, 330)
    s.text(380, 22, "Signs choose a row of each table; weights add the rows up", 14, bold=True)
    for k in range(LOOKUP.h):
        tau = LOOKUP.tau
        left, unit = ((20, 180), (640, 430))[k]  # rows outside, weights inside
        z = t["z"][k * tau : (k + 1) * tau]
        s.text((150, 610)[k], 50, f"table {k}: z = " + ", ".join(f"{v:.2f}" for v in z), 12)
        for row in range(1 << tau):
            chosen = row == t["codes"][k]
            s.box(
                left,
                62 + 24 * row,
                100,
                22,
                (f"row {row:0{tau}b}",),
                "#FFE08A" if chosen else "memory",
                bold=chosen,
            )
        y = 62 + 24 * int(t["codes"][k]) + 11
        s.line((left + 100 * (1 - k), y), (unit + 150 * k, 150), arrow=True)
        s.box(unit, 130, 150, 44, (f"× {t['scores'][k]:.2f}", "weight of the code"), "unit")
        s.line((unit + 75, 174), (350 + 60 * k, 286), arrow=True)
    s.box(270, 286, 220, 36, ("y = sum + bias",), "data")
    return s


PICTURES = {
    "machine": machine,
    "cta-buckets": buckets,
    "cta-residuals": residuals,
    "cta-tree": tree,
    "cta-scores": scores,
    "cta-array": array,
    "lookup-projection": projection,
    "lookup-gather": gather,
}


def main(folder: Path = FOLDER) -> int:
    """Write all pictures into ``folder``; returns the exit status."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        write_text(folder / f"{name}.svg", str(draw()))
    from docs.site.waves import WAVES, render, wavejson  # needs the docs extra

    write_text(folder / "waveform.svg", render(wavejson(WAVES["ClusterIndex"].table())) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
