"""Docstrings say what a thing is or does: "Returns …", "One member as …". They do not begin as questions do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import orion

SRC = Path(orion.__file__).parent
NEVER = ("What", "Whether", "Of")
SELDOM = (*NEVER, "How", "That", "When", "Where", "Which", "Who", "Whose", "Why")
MOST_PERCENT = 10


@pytest.fixture(scope="module")
def docstrings() -> list[tuple[str, str]]:
    """Each docstring of the program with its place, as file:line."""
    return list(found_docstrings())


def found_docstrings() -> Iterator[tuple[str, str]]:
    for file in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = ast.get_docstring(node)
                if text:
                    yield f"{file.relative_to(SRC).as_posix()}:{getattr(node, 'lineno', 1)}", text


def beginning(text: str) -> str:
    return text.split(maxsplit=1)[0].rstrip(",.:;")


def test_no_docstring_begins_with_what_whether_or_of(docstrings: list[tuple[str, str]]) -> None:
    found = [f"{place}: {text.splitlines()[0]}" for place, text in docstrings if beginning(text) in NEVER]
    assert not found, "\n".join(["write what it is or does instead:", *found])


def test_few_docstrings_begin_with_a_word_that_asks(docstrings: list[tuple[str, str]]) -> None:
    texts = [text for _, text in docstrings]
    asking = sum(beginning(text) in SELDOM for text in texts)
    share = 100 * asking / len(texts)
    print(f"{asking} of {len(texts)} docstrings ({share:.1f} %) begin with one of {', '.join(SELDOM)}")
    assert share <= MOST_PERCENT
