"""What mkdocs runs: pages made of the sources are added to those that are written.

Reference pages of the blocks, the pages of words and of parameters and the list of decisions are made
when the site is built, and stand in no commit.
"""

import logging
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mkdocs.structure.files import File  # noqa: E402

from docs.site import blocks, parameters, words  # noqa: E402

log = logging.getLogger("mkdocs.hooks.hashlayer")

PUBLIC = """# The Python of `sw`

These names are what most users of the PyTorch side need. They are fetched when first asked
for, so that importing `sw` needs no torch.

"""


def _public() -> str:
    import sw

    return PUBLIC + "\n".join(f"::: {where}.{name}\n" for name, where in sw._WHERE.items())


def _decisions(folder: Path) -> list:
    entries = []
    for path in sorted(folder.glob("[0-9]*.md")):
        title = path.read_text("utf-8").partition("\n")[0].removeprefix("# ")
        entries.append({title: f"decisions/{path.name}"})
    return entries


def on_config(config):
    """Complete the navigation."""
    made = {
        "reference/words.md": words.page(),
        "reference/parameters.md": parameters.page(),
        "reference/python.md": _public(),
    }
    config.made = made
    reference = []
    for group, found in blocks.pages().items():
        entries = []
        for title, (path, text) in found.items():
            made[path] = text
            entries.append({title: path})
        if group:
            reference.append({group: entries})
    for part in config.nav:
        if isinstance(part, dict):
            if "Reference" in part:
                part["Reference"] += [*reference, {"The Python of sw": "reference/python.md"}]
            if "Integrate" in part:
                part["Integrate"][1:1] = [
                    {"Words": "reference/words.md"},
                    {"Parameters": "reference/parameters.md"},
                ]
            if "Decisions" in part:
                part["Decisions"] = _decisions(Path(config.docs_dir) / "decisions")
    return config


def on_files(files, config):
    """Add the made pages."""
    for path, text in config.made.items():
        files.append(File.generated(config, path, content=text))
    return files
