"""The page of parameters: every field of a configuration, from its one declaration."""

from model.cta.config import CTAConfig
from model.lookup.config import LookupConfig

__all__ = ["page"]

ENGINES = (("CTA", "emit cta", CTAConfig), ("LookupFFN", "emit lookup", LookupConfig))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def page() -> str:
    """The page, in Markdown."""
    lines = [
        "# Parameters",
        "",
        "The build makes this page from `PARAMETERS` and `CONSTANTS` of `model/cta/config.py` and "
        "`model/lookup/config.py`. The help of the commands and the refusals of illegal values "
        "come from there as well. Formats are in [Numerics](../numerics.md).",
    ]
    for title, command, config in ENGINES:
        lines += [
            "",
            f"## {title}: `hashlayer {command}`",
            "",
            "| parameter | what | legal | default |",
            "|---|---|---|---|",
        ]
        for name, each in config.PARAMETERS.items():
            what = f"{each.what}. {each.effect}" if each.effect else each.what
            lines.append(f"| `{name}` | {_cell(what)} | {_cell(each.legal)} | {each.default} |")
        for name, each in config.CONSTANTS.items():
            lines.append(
                f"| `{name}` | {_cell(each.what)} | {each.legal} | {getattr(config, name)} |"
            )
    return "\n".join(lines) + "\n"
