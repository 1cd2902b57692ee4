"""The HTML report in a browser: page.py TRACETOLL CHROMIUM JOURNAL…

It must load without a complaint, and every figure in it must have its drawing and the table of its data.
"""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

from common import done, equal, holds, run

# Elements that have no end.
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
SHAPES = {"circle", "line", "path", "polygon", "polyline", "rect"}

# What the browser must complain of, put before the end of the page.
FAULTS = {
    "a picture from elsewhere": '<img src="picture.png">',
    "a script": "<script>document.title = 'changed'</script>",
    "a drawing with a number that is none": '<svg><path d="M 0 NaN"/></svg>',
}


class Page(HTMLParser):
    """Figures by their id, and how many of each element stands in them."""

    def __init__(self, text):
        super().__init__()
        self.title, self.figures, self.path, self.ids = "", {}, [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.update([attributes["id"]] if "id" in attributes else [])
        if tag == "figure":
            self.figures[attributes["id"]] = {}
        if tag not in VOID:
            self.path.append(tag)
        if "figure" in self.path:
            self.count(self.kind(tag))

    def kind(self, tag):
        """Which part of a figure the element is."""
        if tag in SHAPES and "svg" in self.path:
            return "shape"
        if tag == "tr":
            return "row" if "tbody" in self.path else "head"
        return {"table": "table" if "details" in self.path else "stray table"}.get(tag, tag)

    def count(self, kind):
        figure = self.figures[next(reversed(self.figures))]
        figure[kind] = figure.get(kind, 0) + 1

    def handle_endtag(self, tag):
        if tag in self.path:
            while self.path.pop() != tag:
                pass

    def handle_data(self, data):
        if self.path[-1:] == ["title"] and "svg" not in self.path:
            self.title += data

    def faults(self):
        """What figures lack."""
        for name, parts in self.figures.items():
            one = {kind: parts.get(kind, 0) for kind in ("svg", "details", "table", "caption", "head")}
            if set(one.values()) != {1}:
                yield f"{name} has {one}"
            if not parts.get("shape"):
                yield f"nothing is drawn in {name}"
            if not parts.get("row"):
                yield f"{name} has no data"


def load(chromium, file):
    """The page as the browser has it in the end, and what it complained of."""
    with TemporaryDirectory() as profile:
        command = [chromium, "--headless", "--disable-gpu", f"--user-data-dir={profile}", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        # No name leads anywhere.
        command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0"]
        # Chromium's sandbox refuses root; the page is our own.
        command += ["--no-sandbox"] if os.geteuid() == 0 else []
        command += ["--dump-dom", file.as_uri()]
        ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return ended.stdout, re.findall(r":CONSOLE[:(].*", ended.stderr)


def detectors_work(chromium, text, folder):
    """Faults that are planted are found: by the browser, and by what looks at figures."""
    for what, fault in FAULTS.items():
        file = folder / "fault.html"
        file.write_text(text.replace("</main>", f"{fault}</main>"))
        holds(f"the browser complains of {what}", load(chromium, file)[1])
    bare = re.sub(r"<details>.*?</details>", "", text, count=1, flags=re.S)
    holds("a figure without its data is found", list(Page(bare).faults()))


def check(tracetoll, chromium, folder, name, results):
    """The page of these results."""
    file, drawings = folder / f"{name}.html", folder / name
    run(tracetoll, "report", *results, "--format", "html", "--out", file)
    run(tracetoll, "report", *results, "--format", "svg", "--out", drawings)
    loaded, complaints = load(chromium, file)
    equal(f"{name}: complaints", complaints, [])
    page = Page(loaded)
    holds(f"{name}: it has a title", page.title.strip())
    equal(f"{name}: figures", sorted(page.figures), sorted(svg.stem for svg in drawings.iterdir()))
    holds(f"{name}: there are figures", page.figures)
    equal(f"{name}: what figures lack", list(page.faults()), [])
    links = re.findall(r'href="#([^"]*)"', loaded)
    equal(f"{name}: links that lead nowhere", set(links) - page.ids, set())
    return file.read_text()


def main(tracetoll, chromium, *journals):
    with TemporaryDirectory() as folder:
        folder = Path(folder)
        run(tracetoll, "merge", "--out", folder / "all", *journals)
        for journal in journals:
            run(tracetoll, "merge", "--out", folder / "parts" / Path(journal).stem, journal)
        text = check(tracetoll, chromium, folder, "one", [folder / "all"])
        check(tracetoll, chromium, folder, "several", [folder / "all", *(folder / "parts").iterdir()])
        detectors_work(chromium, text, folder)
    done("page")


main(*sys.argv[1:])
