"""The page of words: every field, target and code of the host's side, from the layouts."""

import model.cta.job
import model.cta.layout
import model.lookup.job
import model.lookup.layout

__all__ = ["page"]

ENGINES = (
    ("CTA", model.cta.layout, model.cta.job),
    ("LookupFFN", model.lookup.layout, model.lookup.job),
)
WORDS = (
    ("load", "LOAD_FIELDS"),
    ("job", "JOB_FIELDS"),
    ("status", "STATUS_FIELDS"),
    ("activity", "TRACE_FIELDS"),
)


def _fields(fields):
    at = 0
    for name, width in fields:
        yield f"| `{name}` | {at + width - 1}{f':{at}' if width > 1 else ''} | {width} |"
        at += width


def page() -> str:
    """The page, in Markdown."""
    lines = [
        "# Words",
        "",
        "The build makes this page from `model/cta/layout.py` and `model/lookup/layout.py`, from "
        "which the generators take their ports and the software its packing. Bit 0 is the lowest. "
        "What the fields mean is in [Programming the CTA engine](../programming.md) and "
        "[The LookupFFN engine](../lookup-programming.md).",
    ]
    for title, layout, job in ENGINES:
        lines += ["", f"## {title}"]
        for word, name in WORDS:
            lines += [
                "",
                f"### {title}: `{word}`",
                "",
                "| field | bits | width |",
                "|---|---|---|",
                *_fields(getattr(layout, name)),
            ]
        for what, numbers in (
            ("targets of a load", layout.Target),
            ("errors of the status", job.ErrorCode),
            ("rows of the parameters", layout.Parameter),
        ):
            lines += [
                "",
                f"### {title}: {what}",
                "",
                "| number | name |",
                "|---|---|",
                *(f"| {int(each)} | {each.name} |" for each in numbers if each.name != "END"),
            ]
    return "\n".join(lines) + "\n"
