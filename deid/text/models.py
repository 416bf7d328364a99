"""Models of one's own beside the rules: a spaCy pipeline or a transformers model, from a folder on this machine.

    models:
      - name: clinic
        engine: spacy                  # or transformers
        path: models/zh_clinic         # a folder, from this file on; a name is refused, nothing is ever downloaded
        languages: [zh]
        labels: {PERSON: PERSON, GPE: PLACE}
        score: 0.85                    # where the model gives none

Each is one finder more, whose hits are settled with all others by the same rules. A model that fails is an error: no
text comes back that it has not seen.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final

from deid.text.kinds import Kind
from deid.text.lean_import import whole
from deid.text.marks import without_marks
from deid.text.reading import Reading
from deid.text.spans import Hit
from kernel.errors import ConfigurationError, ConsentryError, Unavailable
from kernel.located import Located
from kernel.located_yaml import load

_LANGUAGES: Final = frozenset(("zh", "en"))
_DEFAULT_SCORE: Final = 0.85
_STRIDE: Final = 64
"""Tokens that two stretches of a long text share, so that an entity at their border is seen whole by one of them."""

_WORDS: Final = re.compile(r"[^\s〔，。！？；、,.!?;:]+(?:[ ,.、]{1,2}[^\s〔，。！？；、,.!?;:]+)*+")
"""What is left of an entity without marks and the punctuation around it."""


class ModelEngine(StrEnum):
    """What runs a model."""

    SPACY = "spacy"
    TRANSFORMERS = "transformers"


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """One model.

    Attributes:
        path: its folder.
        labels: which of our kinds its labels are; other labels are passed over.
        score: of a hit for which the model gives none.
    """

    name: str
    engine: ModelEngine
    path: Path
    languages: frozenset[str]
    labels: Mapping[str, Kind]
    score: float = _DEFAULT_SCORE


@dataclass(frozen=True, slots=True)
class Entity:
    """What a model says of a text."""

    start: int
    end: int
    label: str
    score: float


_Ask = Callable[[str], list[Entity]]


def load_model_settings(path: Path) -> tuple[ModelSettings, ...]:
    """Return the models of a YAML file.

    Raises:
        PackError: the file is not as the head of this module says, with file and line.
        ConfigurationError: a model's folder is not there.
    """
    listed = load(path).mapping(required={"models"}, optional=set())["models"]
    return tuple(_settings(node, path.parent) for node in listed.sequence())


def _settings(node: Located, folder: Path) -> ModelSettings:
    node.mapping(required={"name", "engine", "path", "languages", "labels"}, optional={"score"})
    settings = ModelSettings(
        node["name"].text(),
        node["engine"].one_of(ModelEngine),
        folder / node["path"].text(),
        frozenset(child.one_of(_LANGUAGES) for child in node["languages"].sequence()),
        {label: _kind(child) for label, child in node["labels"].mapping().items()},
        _score(node.get("score")),
    )
    check_is_folder(settings)
    return settings


def _kind(node: Located) -> Kind:
    kind = node.one_of(Kind)
    if kind is Kind.WITHHELD:
        raise node.fail("a model finds no WITHHELD", expected="another kind")
    return kind


def _score(node: Located | None) -> float:
    if node is None:
        return _DEFAULT_SCORE
    score = node.decimal()
    if not 0 <= score <= 1:
        raise node.fail(f"the score {score} is out of range", expected="0 to 1")
    return float(score)


def check_is_folder(settings: ModelSettings) -> None:
    """Refuse a model that is not there: its libraries would take the path for a name, and look for it outside."""
    if not settings.path.is_dir():
        raise ConfigurationError(
            f"The model {settings.name} has no folder {settings.path}",
            hint="Put the model there; nothing is downloaded, and a model's name is no path.",
        )


@dataclass(frozen=True)
class ModelFinder:
    """A model as a finder; it is loaded when it is first asked."""

    settings: ModelSettings
    languages: frozenset[str] = field(init=False)
    kinds: frozenset[Kind] = field(init=False)
    name: str = field(init=False)

    def __post_init__(self) -> None:
        """Refuse a model whose folder is not there."""
        check_is_folder(self.settings)
        object.__setattr__(self, "languages", self.settings.languages)
        object.__setattr__(self, "kinds", frozenset(self.settings.labels.values()))
        object.__setattr__(self, "name", f"model:{self.settings.name}")

    def find(self, reading: Reading) -> Iterator[Hit]:
        """Yield what the model says, in texts of its languages, without the marks of an earlier round.

        Raises:
            Unavailable: the model fails; the message holds no text.
        """
        if reading.language not in self.languages:
            return
        text = without_marks(reading.text)
        for entity in self._asked(text):
            kind = self.settings.labels.get(entity.label)
            if kind is not None:
                for part in _WORDS.finditer(text, entity.start, entity.end):
                    yield Hit(part.start(), part.end(), kind, entity.score, checked=False, source=self.name)

    def _asked(self, text: str) -> list[Entity]:
        try:
            return self._ask(text)
        except ConsentryError:
            raise
        except Exception as err:  # noqa: BLE001 - whatever a model raises; it may hold text, and is told by its name
            why = f"The model {self.settings.name} failed: {type(err).__name__}"
        raise Unavailable(why, hint="Nothing was let through. Try the model by itself.")

    @cached_property
    def _ask(self) -> _Ask:
        match self.settings.engine:
            case ModelEngine.SPACY:
                return _spacy(self.settings)
            case ModelEngine.TRANSFORMERS:
                return _transformers(self.settings)


def _spacy(settings: ModelSettings) -> _Ask:
    pipeline = whole("spacy").load(settings.path)

    def ask(text: str) -> list[Entity]:
        return [Entity(one.start_char, one.end_char, one.label_, settings.score) for one in pipeline(text).ents]

    return ask


def _transformers(settings: ModelSettings) -> _Ask:
    """Load weights that hold no code (safetensors), from the folder alone."""
    library, folder = whole("transformers"), str(settings.path)
    tokenizer = library.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    model = library.AutoModelForTokenClassification.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    pipeline = library.pipeline(
        "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="max", stride=_STRIDE, device=-1
    )

    def ask(text: str) -> list[Entity]:
        return [
            Entity(int(one["start"]), int(one["end"]), str(one["entity_group"]), float(one["score"]))
            for one in pipeline(text)
        ]

    return ask
