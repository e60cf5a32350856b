"""The page of parameters: every field of a configuration, from its one declaration."""

from gen.engines import ENGINES

__all__ = ["page"]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def page() -> str:
    """The page, in Markdown."""
    lines = [
        "# Parameters",
        "",
        "The build makes this page from `PARAMETERS` and `CONSTANTS` of each engine's configuration. "
        "The help of the commands and the refusals of illegal values "
        "come from there as well. Formats are in [Numerics](../numerics.md).",
    ]
    for name, engine in ENGINES.items():
        config = engine.config
        lines += [
            "",
            f"## {engine.what[0].upper()}{engine.what[1:]}: `hashlayer emit {name}`",
            "",
            "| parameter | what | legal | default |",
            "|---|---|---|---|",
        ]
        for parameter, each in config.PARAMETERS.items():
            what = f"{each.what}. {each.effect}" if each.effect else each.what
            lines.append(f"| `{parameter}` | {_cell(what)} | {_cell(each.legal)} | {each.default} |")
        for parameter, each in config.CONSTANTS.items():
            lines.append(
                f"| `{parameter}` | {_cell(each.what)} | {each.legal} | {getattr(config, parameter)} |"
            )
    return "\n".join(lines) + "\n"
