"""Every sentence of the verifier in both languages."""

import ast
import string
from pathlib import Path

import pytest

from audit.verifier import failures
from audit.verifier.diagnosis import MESSAGES
from audit.verifier.words import KINDS, WORDS

SPOKEN = {"VerificationError", "InputError", "KeyTextError", "PolicyError", "Phrase", "_check_equal"}
FOLDER = Path(failures.__file__).parent


def sentences():
    """Every text in the package that stands where a sentence is said, directly or by the name `message`."""
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SPOKEN:
                yield from (part.value for argument in node.args[:3] for part in ast.walk(argument) if is_text(part))
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "message" and is_text(node.value):
                yield node.value.value


def is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_every_sentence_and_kind_has_its_chinese():
    """What is said in English can be said in Chinese."""
    said = set(sentences()) | set(MESSAGES) | set(MESSAGES.values())
    assert len(said) > 80
    assert {text for text in said if text.strip(", ") and text not in WORDS["zh"]} == set()
    assert set(KINDS) <= said


@pytest.mark.parametrize("template", WORDS["zh"])
def test_translation_has_the_places_of_its_template(template):
    """No value is lost, none is asked for that is not there."""

    def places(text):
        return sum(1 for _, name, _, _ in string.Formatter().parse(text) if name is not None)

    assert places(WORDS["zh"][template]) == places(template)
