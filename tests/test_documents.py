"""Documents can be read: short cells, links that lead somewhere, files and imports that exist."""

from __future__ import annotations

import ast
import pathlib
import pkgutil
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
#: Names of all test functions.
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^ *def (test_\w+)", path.read_text(), re.MULTILINE)
}
#: What a cell cannot say in so many words goes below the table.
WORDS = 10
BRIEF = [
    "coming-from-rtms",
    "concurrency",
    "contributing",
    "deployment",
    "performance",
    "reliability",
    "scaling",
    "security",
    "status",
]

documents = pytest.mark.parametrize("document", DOCUMENTS)


def prose(document):
    return re.sub(r"^```.*?^```", "", DOCUMENTS[document], flags=re.DOTALL | re.MULTILINE)


def anchors(document):
    """Return the names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", BRIEF)
def test_cells_are_short(name):
    lines = re.findall(r"^\|.*\|$", prose(f"docs/{name}.md"), re.MULTILINE)
    cells = [cell.strip() for line in lines for cell in line.strip("|").split(" | ")]
    assert cells
    assert [cell for cell in cells if len(cell.split()) > WORDS] == []


@documents
def test_links_lead_somewhere(document):
    folder = (ROOT / document).parent
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", prose(document)):
        target = (folder / path).resolve() if path else ROOT / document
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target.relative_to(ROOT).as_posix()), f"{path}#{anchor}"


@documents
def test_files_that_are_named_exist(document):
    """Paths are those from the root, or from the package's or the tests' folder."""
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.py|(?:[\w-]+/)+)`", prose(document)))
    bases = (ROOT, ROOT / "rtms_gevent", ROOT / "tests")
    assert [name for name in named if not any((base / name).exists() for base in bases)] == []


@documents
def test_tests_that_are_named_exist(document):
    named = set(re.findall(r"`(test_\w+)`", prose(document)))
    assert named - TESTS == set()


@documents
def test_code_imports_what_exists(document):
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENTS[document], re.DOTALL | re.MULTILINE)
    for node in ast.walk(ast.parse("\n".join(blocks))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rtms_gevent"):
            for alias in node.names:
                assert pkgutil.resolve_name(f"{node.module}:{alias.name}")
