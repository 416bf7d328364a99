"""Models of one's own beside the rules."""

import importlib.util
from pathlib import Path

import pytest

from deid.text import Kind, TextScrubber
from deid.text.engine import PresidioDetector
from deid.text.finders import all_finders
from deid.text.models import ModelEngine, ModelFinder, ModelSettings, load_model_settings
from kernel.errors import ConfigurationError, Unavailable
from kernel.located import PackError

SENTENCES = ("{}昨天来了", "我见到{}了", "是{}说的", "给{}打电话", "{}头晕", "问{}好不好")
PLAIN = ("手机13800138000", "身份证11010519491231002X", "血压135/85", "头晕三天", "〔〔〔〔昨天来了", "，电话〔〔〔〔")
NAMES = ("阿布", "石三郎", "毛蛋", "铁柱子")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A spaCy pipeline of this test, trained on two dozen sentences."""
    TextScrubber().scrub("presidio is imported without spaCy first, as in use")
    import spacy
    from spacy.training import Example

    pipeline = spacy.blank("zh")
    pipeline.add_pipe("ner", config={"model": {"tok2vec": {"width": 32, "depth": 1}}})
    spacy.util.fix_random_seed(0)
    examples = [Example.from_dict(pipeline.make_doc(text), {"entities": []}) for text in PLAIN * 3]
    for sentence in SENTENCES:
        for name in NAMES:
            at = sentence.index("{}")
            doc = pipeline.make_doc(sentence.format(name))
            examples.append(Example.from_dict(doc, {"entities": [(at, at + len(name), "PER")]}))
    optimizer = pipeline.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(20):
        pipeline.update(examples, sgd=optimizer)
    folder = tmp_path_factory.mktemp("model") / "zh_tiny"
    pipeline.to_disk(folder)
    return folder


def settings(path, engine=ModelEngine.SPACY, languages=("zh",), **labels):
    return ModelSettings("tiny", engine, path, frozenset(languages), labels or {"PER": Kind.PERSON})


def scrubber_with(*models):
    return TextScrubber(budget_ms=60_000, detector=PresidioDetector([*all_finders(), *map(ModelFinder, models)]))


def test_a_spacy_pipeline_is_one_finder_more(tiny):
    """What it says is settled with the rules, and tells its name; in full-width text as well."""
    text = "我见到石三郎了，手机１３８００１３８０００"
    (person, mobile) = scrubber_with(settings(tiny)).find(text)
    assert (text[person.start : person.end], person.type, person.source) == ("石三郎", Kind.PERSON, "model:tiny")
    assert (mobile.type, person.score) == (Kind.MOBILE, 0.85)


def test_a_check_digit_is_stronger_than_a_model(tmp_path):
    """A model that takes the whole text for a place gives way in the kind; what it saw is covered."""
    import spacy

    pipeline = spacy.blank("zh")
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "GPE", "pattern": [{"TEXT": {"REGEX": "."}, "OP": "+"}]}])
    pipeline.to_disk(tmp_path / "greedy")
    greedy = scrubber_with(settings(tmp_path / "greedy", GPE=Kind.PLACE))
    (span,) = greedy.find("身份证11010519491231002X")
    assert (span.type, span.start, span.end, span.checked) == (Kind.ID_NUMBER, 0, 21, True)
    (span,) = greedy.find("头晕三天")
    assert (span.type, span.source) == (Kind.PLACE, "model:tiny")


def test_scrubbing_twice_is_scrubbing_once_with_a_model(tiny):
    """It is asked about texts with marks, and leaves the marks alone."""
    scrubber = scrubber_with(settings(tiny))
    for sentence in SENTENCES:
        once = scrubber.scrub(sentence.format("石三郎") + "，电话13800138000")
        assert scrubber.scrub(once.text).text == once.text


def test_other_languages_and_labels_are_passed_over(tiny):
    """A model is asked in its languages; a label without a kind is nothing."""
    text = "我见到石三郎了"
    assert scrubber_with(settings(tiny, languages=("en",))).find(text) == TextScrubber().find(text)
    assert scrubber_with(settings(tiny, ORG=Kind.ORGANIZATION)).find(text) == TextScrubber().find(text)


def test_a_name_is_no_path():
    """Nothing is looked for outside, nothing is downloaded."""
    for engine in ModelEngine:
        with pytest.raises(ConfigurationError, match="no folder"):
            ModelFinder(settings(Path("zh_core_web_sm"), engine))


def test_a_model_that_fails_lets_nothing_through(tmp_path):
    """The error names the model and holds no text."""
    with pytest.raises(Unavailable, match="tiny failed") as failed:
        scrubber_with(settings(tmp_path)).scrub("我见到石三郎了")
    assert "石三郎" not in str(failed.value)
    assert failed.value.__context__ is None


def written(folder, content):
    path = folder / "models.yaml"
    path.write_text(content, "utf-8")
    return path


def test_models_come_from_a_file(tmp_path):
    """Their folders are looked for from the file on."""
    (tmp_path / "zh_tiny").mkdir()
    entry = "{name: tiny, engine: spacy, path: zh_tiny, languages: [zh], labels: {PER: PERSON}"
    (plain, scored) = load_model_settings(written(tmp_path, f"models:\n  - {entry}}}\n  - {entry}, score: 0.6}}\n"))
    assert plain == settings(tmp_path / "zh_tiny")
    assert scored.score == 0.6


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{name: a, engine: stanza, path: x, languages: [zh], labels: {}}", "engine|stanza"),
        ("{name: a, engine: spacy, path: x, languages: [fr], labels: {}}", "fr"),
        ("{name: a, engine: spacy, path: x, languages: [zh], labels: {PER: NOBODY}}", "NOBODY"),
        ("{name: a, engine: spacy, path: x, languages: [zh], labels: {PER: WITHHELD}}", "WITHHELD"),
        ("{name: a, engine: spacy, path: x, languages: [zh], labels: {}, score: 1.5}", "out of range"),
        ("{name: a, engine: spacy, path: x, languages: [zh], labels: {}, url: y}", "url"),
        ("{name: a, engine: spacy, path: zh_core_web_sm, languages: [zh], labels: {}}", "no folder"),
    ],
)
def test_mistakes_in_the_file_are_told(tmp_path, given, told):
    """With file and line, or the model's name."""
    with pytest.raises((PackError, ConfigurationError), match=told):
        load_model_settings(written(tmp_path, f"models:\n  - {given}\n"))


@pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None or importlib.util.find_spec("torch") is None,
    reason="transformers and torch are not installed: the transformers model is not tried",
)
def test_a_transformers_model_is_one_finder_more(tmp_path):
    """A model with random weights is loaded from its folder and asked; its offsets lie in the text."""
    import transformers

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set("".join(SENTENCES + NAMES)))]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens), "utf-8")
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt"), model_max_length=128).save_pretrained(tmp_path)
    config = transformers.BertConfig(
        vocab_size=len(tokens), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=128, id2label={0: "O", 1: "B-PER"}, label2id={"O": 0, "B-PER": 1},
    )  # fmt: skip
    transformers.BertForTokenClassification(config).save_pretrained(tmp_path, safe_serialization=True)
    text = "我见到石三郎了" * 60
    spans = scrubber_with(settings(tmp_path, ModelEngine.TRANSFORMERS)).find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
