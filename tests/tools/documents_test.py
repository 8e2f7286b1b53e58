"""The documents' form: the README stays short, and every link between files and headings leads somewhere."""

import pathlib
import re
import subprocess
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
README_WORDS = 900
FENCE = re.compile(r"^(```+|~~~+).*?^\1[ \t]*$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t]*#*$", re.MULTILINE)


def documents() -> list[pathlib.Path]:
    """Every Markdown file of the project, but what was built or installed."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
                            capture_output=True, text=True)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    folders = [ROOT / name for name in ("docs", "models", "tests", "tools")]
    return sorted([*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*.md"))])


def without_code(text: str) -> str:
    """The text without fenced blocks and code spans, which hold no links."""
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", FENCE.sub("", text), flags=re.DOTALL)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to a text's headings."""
    found: dict[str, int] = {}
    result = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        name = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")
        count = found.get(name, 0)
        found[name] = count + 1
        result.add(f"{name}-{count}" if count else name)
    return result


def broken_links(document: pathlib.Path) -> list[str]:
    broken = []
    for link in LINK.findall(without_code(document.read_text(encoding="utf-8"))):
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = document.parent / urllib.parse.unquote(parts.path) if parts.path else document
        if not target.exists():
            broken.append(f"{link}: there is no such file")
        elif parts.fragment and (target.suffix != ".md" or
                                 parts.fragment not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(f"{link}: no heading has this anchor")
    return broken


class Documents(unittest.TestCase):
    def test_the_readme_is_short(self):
        words = len((ROOT / "README.md").read_text(encoding="utf-8").split())
        self.assertLessEqual(words, README_WORDS, "move what is not for everybody to docs/")

    def test_links_lead_somewhere(self):
        self.assertGreater(len(documents()), 10)
        for document in documents():
            with self.subTest(str(document.relative_to(ROOT))):
                self.assertEqual(broken_links(document), [])

    def test_every_page_can_be_reached_from_the_readme(self):
        reached, waiting = set(), [ROOT / "README.md"]
        while waiting:
            document = waiting.pop().resolve()
            if document in reached or document.suffix != ".md" or not document.exists():
                continue
            reached.add(document)
            links = LINK.findall(without_code(document.read_text(encoding="utf-8")))
            waiting += [document.parent / link.partition("#")[0] for link in links
                        if "://" not in link and not link.startswith("#")]
        pages = {page.resolve() for page in documents() if page.is_relative_to(ROOT / "docs")}
        self.assertEqual(sorted(str(page.relative_to(ROOT)) for page in pages - reached), [])


class Check(unittest.TestCase):
    def test_anchors_are_githubs(self):
        text = "# A `code` (here)\n## Rows (`query`, `x_y`)\n## Rows (`query`, `x_y`)\n```\n# none\n```\n"
        self.assertEqual(anchors(text), {"a-code-here", "rows-query-x_y", "rows-query-x_y-1"})

    def test_links_in_code_are_no_links(self):
        self.assertEqual(LINK.findall(without_code("`[a](b)` [c](d.md#e)\n```\n[f](g)\n```\n")), ["d.md#e"])


if __name__ == "__main__":
    unittest.main()
