"""The house rules that import-linter does not know: no circles between files, and small files and classes."""

import ast
from itertools import chain
from pathlib import Path

import grimp
import pytest

import orion

ROOT = Path(orion.__file__).parent
MOST_FILE_LINES = 400
MOST_CLASS_LINES = 300

# File, or file and class -> why it may be larger.
LARGE = {
    "adapters/lmdb_log/store.py": "which work touches the environment, and in which order, is read in one place",
    "adapters/lmdb_log/store.py LmdbLog": "as the file",
    "node/node.py": "as its class",
    "node/node.py Node": "it puts the rooms together: a line for each thing that a part of one is given",
}


def lines_of(node):
    return node.end_lineno - node.lineno + 1


@pytest.fixture(scope="module")
def sizes():
    """(name, lines, how many there may be) of files, and of classes at any depth."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        text, name = path.read_text(), str(path.relative_to(ROOT))
        found.append((name, text.count("\n"), MOST_FILE_LINES))
        classes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef))
        found += [(f"{name} {node.name}", lines_of(node), MOST_CLASS_LINES) for node in classes]
    return found


def test_files_and_classes_are_small_or_have_their_reason(sizes):
    too_large = {name: lines for name, lines, most in sizes if lines > most and name not in LARGE}
    assert not too_large, "divide it by what it does, or say in LARGE why it is one"


def test_a_reason_goes_with_what_it_was_for(sizes):
    large = {name for name, lines, most in sizes if lines > most}
    assert set(LARGE) <= large


@pytest.fixture(scope="module")
def imports():
    """Module -> those it imports, for type checkers too: a circle on paper is a circle in the head."""
    graph = grimp.build_graph("orion", exclude_type_checking_imports=False, cache_dir=None)
    return {module: sorted(graph.find_modules_directly_imported_by(module)) for module in sorted(graph.modules)}


def circles(imports):
    """Tarjan's strongly connected components of more than one module."""
    number, low, stack, found = {}, {}, [], []

    def visit(module):
        number[module] = low[module] = len(number)
        stack.append(module)
        for other in imports.get(module, ()):
            if other not in number:
                visit(other)
            if other in stack:
                low[module] = min(low[module], low[other])
        if low[module] == number[module]:
            at = stack.index(module)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for module in imports:
        if module not in number:
            visit(module)
    return found


def test_circles_are_found():
    assert circles({"a": ["b"], "b": ["c"], "c": ["b", "d"], "d": []}) == [["b", "c"]]
    assert circles({"a": ["b", "c"], "b": ["c"], "c": []}) == []


def test_no_files_import_each_other(imports):
    assert len(imports) > 200, "the graph holds the tree"
    assert "orion.cli.shared.options" in set(chain.from_iterable(imports.values()))
    assert circles(imports) == []
