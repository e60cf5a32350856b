"""What attach and detach did to a model, layer by layer."""

from dataclasses import dataclass

__all__ = ["Row", "Report"]


@dataclass(frozen=True)
class Row:
    """One part of one layer.

    layer : index, in the order in which the model holds its layers; None for a part of no layer
        that is known here.
    part : "attention" or "ffn".
    name : where, as in ``model.named_modules()``.
    was, now : what stood there before and stands there after; equal if the part was kept.
    replaced : whether ``now`` is new here.
    why : the reason why the part was kept, or what is worth knowing about the replacement.
    """

    layer: int | None
    part: str
    name: str
    was: str
    now: str
    replaced: bool
    why: str = ""


@dataclass(frozen=True)
class Report:
    """The rows of one :func:`sw.attach` or :func:`sw.detach`; ``print`` shows them as a table.

    model : class of the model. action : "attach" or "detach". notes : lines below the table.
    """

    model: str
    action: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def replaced(self) -> tuple[Row, ...]:
        """Parts that are another module now."""
        return tuple(row for row in self.rows if row.replaced)

    @property
    def kept(self) -> tuple[Row, ...]:
        """Parts that are what they were; ``why`` says the reason."""
        return tuple(row for row in self.rows if not row.replaced)

    def __str__(self) -> str:
        lines = [("layer", "part", "name", "was", "now", "why")]
        lines += [("-" if row.layer is None else str(row.layer), row.part, row.name, row.was,
                   row.now if row.replaced else "kept", row.why) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
                 .rstrip() for line in lines]
        head = (f"{self.action} {self.model}: {len(self.replaced)} of {len(self.rows)} parts "
                f"{'replaced' if self.action == 'attach' else 'restored'}")
        return "\n".join([head, *table, *self.notes])
