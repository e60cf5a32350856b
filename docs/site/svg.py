"""Shapes of the pictures of *How it works*, in one hand: colours, boxes, arrows, text."""

__all__ = ["COLOURS", "INK", "Svg"]

INK = "#30363C"
COLOURS = ("#2F6DB5", "#D9772B", "#3A8F5C", "#A0479A", "#8A6D1B")
FILL = {
    "data": "#FFF3D6",
    "unit": "#D9F0E6",
    "memory": "#DCEBF7",
    "control": "#ECEFF2",
    "cluster": "#FBE3D3",
    "plain": "white",
}


class Svg:
    """A picture of ``width`` by ``height`` points."""

    def __init__(self, width: int, height: int):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="13">',
            '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            f'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="{INK}"/></marker>'
            "</defs>",
            f'<rect width="{width}" height="{height}" fill="white"/>',
        ]

    def text(self, x, y, words, size=13, anchor="middle", bold=False, colour=INK):
        weight = ' font-weight="bold"' if bold else ""
        words = str(words).replace("&", "&amp;").replace("<", "&lt;")
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
            f'{weight} fill="{colour}">{words}</text>'
        )

    def box(self, x, y, width, height, lines=(), fill="plain", bold=True):
        """A box with lines of text; the first is bold."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" '
            f'fill="{FILL.get(fill, fill)}" stroke="{INK}"/>'
        )
        top = y + height / 2 - 8 * len(lines) + 12
        for at, line in enumerate(lines):
            self.text(
                x + width / 2, top + 16 * at, line, 13 if at == 0 else 11.5, bold=bold and at == 0
            )

    def line(self, *points, arrow=False, colour=INK, dash="", width=1.4):
        where = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(
            f'<polyline points="{where}" fill="none" stroke="{colour}" stroke-width="{width}"'
            + (f' stroke-dasharray="{dash}"' if dash else "")
            + (' marker-end="url(#a)"' if arrow else "")
            + "/>"
        )

    def dot(self, x, y, colour, size=5):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>')

    def cross(self, x, y, colour, size=6):
        self.line((x - size, y - size), (x + size, y + size), colour=colour, width=2.5)
        self.line((x - size, y + size), (x + size, y - size), colour=colour, width=2.5)

    def __str__(self):
        return "\n".join([*self.parts, "</svg>"]) + "\n"
