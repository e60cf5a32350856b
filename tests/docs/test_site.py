"""The site builds without a warning, its links lead somewhere, and reading it asks no network."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("material", reason="needs the docs extra")
pytest.importorskip("mkdocstrings_handlers.python", reason="needs the docs extra")
pytest.importorskip("wavedrom", reason="needs the docs extra")
pytest.importorskip("amaranth", reason="needs the rtl extra")

ROOT = Path(__file__).resolve().parents[2]


class Page(HTMLParser):
    """Links, anchors and loaded files of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors.update(attrs[name] for name in ("id", "name") if attrs.get(name))
        if tag == "a" and "href" in attrs:
            self.links.append(attrs["href"])
        elif tag in ("img", "script", "iframe") and attrs.get("src"):
            self.loads.append(attrs["src"])
        elif tag == "link" and attrs.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(attrs["href"])


def build(folder: Path, config: Path = ROOT / "docs" / "site" / "mkdocs.yml"):
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", config, "-d", folder],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    run = build(folder)
    assert run.returncode == 0, run.stdout + run.stderr
    return {path: Page(path.read_text("utf-8")) for path in folder.rglob("*.html")}


def dead(site: dict) -> list[str]:
    """Links and loads that lead to no file or no anchor of the site."""
    found = []
    for path, page in site.items():
        for link in (*page.links, *page.loads):
            where = urlsplit(link)
            if where.scheme or where.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(where.path)).resolve() if where.path else path
            target = target / "index.html" if target.is_dir() else target
            anchors = site[target].anchors if target in site else ()
            if (
                not target.is_file()
                or where.fragment
                and unquote(where.fragment) not in {*anchors, "__skip"}
                and target.suffix == ".html"
            ):
                found.append(f"{path.name}: {link}")
    return found


def test_every_link_leads_somewhere(site):
    assert len(site) > 60 and sum(len(page.links) for page in site.values()) > 1000
    assert dead(site) == []


def test_nothing_comes_from_another_host(site):
    assert [load for page in site.values() for load in page.loads if urlsplit(load).netloc] == []


def test_every_block_has_a_page_with_its_ports(site):
    from docs.site.blocks import blocks

    names = {path.stem for path in site}
    for component in (each for group in blocks().values() for each in group):
        kind = type(component)
        name = f"{kind.__module__.removeprefix('gen.').replace('.', '-')}-{kind.__name__}"
        assert name in names, kind
        text = next(path for path in site if path.stem == name).read_text("utf-8")
        assert [port for port in component.signature.members if f"<code>{port}" not in text] == []


def test_a_dead_link_fails_the_build(tmp_path):
    """``-q`` would hide the warnings from ``--strict`` as well."""
    site = tmp_path / "docs" / "site"
    site.mkdir(parents=True)
    (site / "mkdocs.yml").write_text(
        "site_name: x\ndocs_dir: ..\nexclude_docs: site/\nvalidation: {links: {anchors: warn}}\n"
    )
    page = tmp_path / "docs" / "index.md"
    for text, status in (("# A\n[b](#a)\n", 0), ("# A\n[b](b.md)\n", 1), ("# A\n[b](#b)\n", 1)):
        page.write_text(text)
        assert build(tmp_path / "out", site / "mkdocs.yml").returncode == status, text


def test_a_dead_link_is_seen(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<a href="nothing.html">x</a><a href="#here">x</a><a id="there" href="#there">x</a>'
    )
    assert len(dead({page: Page(page.read_text())})) == 2
