"""How every picture of the project looks, and how it is saved."""

import io
from pathlib import Path

from sw.io.writing import make_folder, write_bytes

__all__ = ["pyplot", "save", "BLUE", "ORANGE", "GREEN", "RED", "PURPLE", "SKY", "YELLOW", "GREY",
           "DARK"]

# Okabe and Ito's palette, told apart by colour-blind readers as well.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, GREY, DARK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#C8CCD0",
    "#30363C")


def pyplot():
    """matplotlib.pyplot without a screen, in our style."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    plt.rcParams.update({
        "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold",
        "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
        "axes.edgecolor": "#9AA0A6", "axes.labelcolor": DARK, "text.color": DARK,
        "xtick.color": DARK, "ytick.color": DARK, "figure.facecolor": "white",
        "savefig.dpi": 130, "legend.frameon": False})
    return plt


def save(figure, path) -> None:
    """Write a figure as PNG, folder and all, and close it."""
    make_folder(Path(path).parent)
    from PIL import Image
    whole = io.BytesIO()
    figure.savefig(whole, format="png")
    pyplot().close(figure)
    # 256 colours are enough for these and make a third of the file.
    small = io.BytesIO()
    Image.open(whole).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
        small, format="png", optimize=True)
    write_bytes(path, small.getvalue())
