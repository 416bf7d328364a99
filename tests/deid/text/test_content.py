"""Content rules on community posts and campaign texts: what counts, what does not, and what is done about it."""

import time
from pathlib import Path

import pytest

from deid.text.content import Action, Author, ContentChecker, ContentKind, Severity, load_content_rules
from deid.text.content.rules import ContentRules
from deid.text.kinds import Kind
from deid.text.spans import Span
from kernel.located_yaml import PackError

PACK = Path(__file__).parents[3] / "packs/medical/content_rules.yaml"
POST, CAMPAIGN = ContentKind.POST, ContentKind.CAMPAIGN
MEMBER, DOCTOR, OPERATOR = Author.MEMBER, Author.DOCTOR, Author.OPERATOR


@pytest.fixture(scope="module")
def rules() -> ContentRules:
    """The medical pack's."""
    return load_content_rules(PACK)


@pytest.fixture(scope="module")
def checker(rules) -> ContentChecker:
    """With the identifiers that ship."""
    return ContentChecker(rules)


CLAIMS = {
    "这药包治百病，一个疗程根治": "cure_claim",
    "保证治愈，药到病除": "cure_claim",
    "100％有效": "cure_claim",
    "不孕不育包治好": "cure_claim",
    "疑难杂症一次根治": "cure_claim",
    "治愈率９８％": "rate_claim",
    "有效率达到百分之九十五": "rate_claim",
    "無副作用，零風險": "safety_claim",
    "祖传秘方，专治牛皮癣": "secret_recipe",
    "治不好退款，无效退款": "refund_claim",
    "比其他医院治得好": "comparison",
}


@pytest.mark.parametrize(("text", "rule"), CLAIMS.items())
def test_claims_are_held_for_people(checker, text, rule):
    """What the law does not let an advertisement say queues, and names law and article in both languages."""
    verdict = checker.check(text, POST)
    hit = next(hit for hit in verdict.hits if hit.rule == rule)
    assert verdict.action is Action.HOLD
    assert hit.severity is Severity.SOFT
    assert "法" in hit.law
    assert hit.article.startswith("第")
    assert hit.message.zh
    assert hit.message.en.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "根 治糖尿病",
        "根-治糖尿病",
        "根✨治糖尿病",
        "根\u200b治糖尿病",
        "根\u3000治糖尿病",
        "根.治糖尿病",
        "哏治糖尿病",
        "祖 传 秘 方",
    ],
)
def test_words_are_seen_through_what_hides_them(checker, text):
    """Spaces, signs, pictures, invisible characters and look-alikes between characters change nothing."""
    hit = checker.check(text, POST).hits[0]
    assert (hit.start, text[hit.end - 1]) == (0, text.replace("糖尿病", "")[-1])


@pytest.mark.parametrize(
    "text",
    [
        "不能保证治愈",
        "“包治百病”是骗人的，大家别上当",
        "反对任何“药到病除”的宣传",
        "网上说能根治糖尿病都是谣言",
        "目前糖尿病不能根治，但可以控制",
        "根治不了的病很多",
        "并不存在根治的方法",
        "我们不承诺治愈，也不保证疗效",
        "不要相信那些包治百病的神医",
        "警惕“祖传秘方”骗局",
    ],
)
def test_denied_or_reported_claims_do_not_count(checker, text):
    """Negation and quotation make a claim none, and the verdict says which."""
    verdict = checker.check(text, POST, DOCTOR)
    assert (verdict.action, verdict.hits) == (Action.ALLOW, ())
    assert {hit.excuse for hit in verdict.excused} <= {"denied", "reported"}
    assert verdict.excused


@pytest.mark.parametrize(
    "text",
    [
        "没有不能根治的高血压",
        "不用手术就能根治",
        "不打针不吃药彻底治愈糖尿病",
        "不但能根治，还无副作用",
        "绝不骗人，药到病除",
        "药物不能根治，手术可以根治",
        "没几天就根治了",
    ],
)
def test_a_denial_of_something_else_excuses_nothing(checker, text):
    """Twice denied is claimed, and what another clause denies is not the claim."""
    assert checker.check(text, POST).action is Action.HOLD


def test_a_question_is_a_claim_in_a_campaign_only(checker):
    """A member asks; a headline suggests."""
    text = "高血压能根治吗？"
    assert checker.check(text, POST).action is Action.ALLOW
    assert "cure_claim" in {hit.rule for hit in checker.check(text, CAMPAIGN, OPERATOR).hits}


def test_own_illness_without_identifiers_is_allowed(checker):
    """Who tells of an own illness, or a child's, without saying who, is left alone."""
    for text in ("我得了糖尿病三年了，一直在控制饮食", "宝宝8个月大，发烧39度怎么办", "我妈妈有高血压，昨天住院了"):
        assert checker.check(text, POST).action is Action.ALLOW, text


def test_own_contact_is_masked_with_a_warning(checker):
    """The number goes, the rest of the text stays."""
    text = "我得了痛风，加我微信 wx_abc12345，电话138 1234 5678"
    verdict = checker.check(text, POST)
    assert verdict.action is Action.MASK
    assert verdict.masked(text) == "我得了痛风，加我微信 〔微信〕，电话〔手机〕"
    assert list(dict.fromkeys(hit.message.en for hit in verdict.hits)) == [
        "contacts and identifying numbers were masked; do not publish them in the community"
    ]


def test_every_contact_is_masked(checker):
    """However many there are."""
    text = "，".join(f"138001380{number:02}" for number in range(90))
    assert "138" not in checker.check(text, POST).masked(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("我妈叫李秀英，得了乳腺癌，现在在化疗", "third_person_named"),
        ("邻居有艾滋病，电话13812345678", "third_person_health"),
        ("我儿子王小明，5岁，发烧39度", "minor_identity"),
        ("出售曲马多，包邮", "controlled_drug_sale"),
    ],
)
def test_hard_rules_block(checker, text, rule):
    """Somebody else's identity with health, a minor's identity and controlled medicines stop a post."""
    verdict = checker.check(text, POST)
    assert verdict.is_blocked
    assert {hit.rule for hit in verdict.hits if hit.severity is Severity.HARD} == {rule}


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("孩子发烧了，挂了王医生的号", Action.ALLOW),
        ("感谢李医生治好了我的胃病", Action.ALLOW),
        ("我是糖尿病患者，姓名：陈大文", Action.MASK),
        ("医生让我加他微信 doc_wang99 复诊", Action.HOLD),
        ("出闲置：没拆封的司美格鲁肽，低价转让", Action.BLOCK),
        ("问下司美格鲁肽医保能报吗", Action.ALLOW),
        ("警惕网上低价转让司美格鲁肽", Action.ALLOW),
        ("吃了二甲双胍拉肚子怎么办", Action.ALLOW),
    ],
)
def test_who_is_meant_and_what_is_done(checker, text, action):
    """A doctor by title is no patient, an own name no third person's, and a question about a medicine no sale."""
    assert checker.check(text, POST).action is action


def test_contact_of_a_doctor_is_held(checker):
    """A doctor leads nobody away from the platform."""
    text = "加我微信 doctor_lin88"
    assert checker.check(text, POST, DOCTOR).action is Action.HOLD
    assert checker.check(text, POST, MEMBER).action is Action.MASK


@pytest.mark.parametrize(
    ("text", "rule", "action"),
    [
        ("秋季养生小贴士：多喝水", "advertisement_label", Action.HOLD),
        ("【广告】本品为保健食品，增强免疫力", "health_food_notice", Action.HOLD),
        ("【广告】本保健食品可治疗糖尿病。本品不能代替药物。", "health_food_claim", Action.HOLD),
        ("【广告】这款面膜有消炎疗效", "goods_claim", Action.HOLD),
        ("【广告】二甲双胍限时特价，点击下单", "prescription_drug_promotion", Action.BLOCK),
        ("养生知识：糖尿病的饮食注意事项。咨询热线：010-62345678", "disguised_advertisement", Action.BLOCK),
        ("【广告】全国第一的治疗中心", "superlative", Action.HOLD),
        ("【广告】患者见证，治疗前后对比", "testimonial", Action.HOLD),
        ("【广告】免费治疗，仅剩3个名额", "inducement", Action.HOLD),
        ("【广告】再不治就会癌变", "fear", Action.HOLD),
        ("【广告】中南海专用", "authority", Action.HOLD),
    ],
)
def test_campaigns_are_advertisements(checker, text, rule, action):
    """What is said of goods, medicines and services on a page of a campaign."""
    verdict = checker.check(text, CAMPAIGN, OPERATOR)
    assert rule in {hit.rule for hit in verdict.hits}
    assert verdict.action is action


@pytest.mark.parametrize(
    "text",
    [
        "【广告】本品为保健食品，增强免疫力。本品不能代替药物。",
        "【广告】饭后半小时是最佳服药时间",
        "【广告】早期胃癌可行根治性切除术",
    ],
)
def test_sound_campaigns_pass(checker, text):
    """With the label, the notice and words of medicine there is nothing to say."""
    assert checker.check(text, CAMPAIGN, OPERATOR).action is Action.ALLOW


def test_what_could_not_be_judged_is_held(rules):
    """A document that detection withholds fails closed."""
    checker = ContentChecker(rules, find=lambda text: [Span(0, len(text), Kind.WITHHELD, 1.0)])
    assert [hit.rule for hit in checker.check("很长的文字", POST).hits] == ["unjudged"]


def test_offsets_are_of_the_text_as_it_was_given(checker):
    """Through full-width, invisible and left-out characters."""
    text = "你好\u200b，①这 药 根\u200b 治 糖尿病，治愈率９８％！"
    found = {hit.rule: text[hit.start : hit.end] for hit in checker.check(text, POST).hits}
    assert found == {"cure_claim": "根\u200b 治", "rate_claim": "治愈率９８％"}


def test_explanation_holds_nothing_of_the_text(checker):
    """Rule, law, article and place; no word that was written."""
    text = "王小二的电话13812345678，包治百病"
    lines = checker.check(text, POST).explain()
    assert lines
    assert not any("13812345678" in line or "王小二" in line for line in lines)
    assert "13812345678" not in repr(checker.check(text, POST))


def test_marks_of_an_earlier_round_count_for_nothing(checker):
    """The words in a mark are ours."""
    assert checker.check("我妈住院了，〔手机〕〔地址〕〔姓名〕", POST).action is Action.ALLOW


def test_time_is_linear(rules):
    """A page of 100,000 characters full of near misses costs no more than its length."""
    checker = ContentChecker(rules, find=lambda _: [])
    page = "不能根治的病有很多疗效比较好的产品有效率治愈率是" * 4_000

    def cost(text: str) -> float:
        begin = time.process_time()
        checker.check(text, POST)
        return time.process_time() - begin

    cost(page[:10_000])
    assert cost(page[:100_000]) < 40 * max(cost(page[:10_000]), 0.005)


SOUND = """
version: "1"
words: {{drugs: [药]}}
variants: {{药: 葯}}
contexts:
  denied: {{signs: [{{patterns: [不], side: before, reach: clause, characters: 3}}]}}
rules:
  unjudged:
    {{severity: soft, action: hold, law: 法, article: 第一条, message: {{zh: 长, en: long}}, identifiers: [WITHHELD]}}
  drug:
    severity: {severity}
    action: {action}
    law: 法
    article: 第一条
    message: {{zh: 药, en: drug}}
    {what}
"""


def written(tmp_path: Path, *, severity="soft", action="hold", what="find: ['<drugs>']") -> Path:
    path = tmp_path / "content_rules.yaml"
    path.write_text(SOUND.format(severity=severity, action=action, what=what), encoding="utf-8")
    return path


def test_words_and_variants_are_used(tmp_path):
    """A group stands for its patterns, a variant for its character."""
    checker = ContentChecker(load_content_rules(written(tmp_path)), find=lambda _: [])
    assert [hit.rule for hit in checker.check("葯", POST).hits] == ["drug"]


def test_an_identifier_can_be_asked_for_near_a_word(tmp_path):
    """Within its distance, on its side, and nowhere else."""
    what = "find: [药]\n    near: [{identifiers: [MOBILE], side: after, characters: 20}]"
    checker = ContentChecker(load_content_rules(written(tmp_path, what=what)))
    assert checker.check("买药请打13812345678", POST).hits
    for text in ("13812345678，买药", "买药" + "好" * 30 + "13812345678", "买药。13812345678", "买药请打电话"):
        assert not checker.check(text, POST).hits, text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SOUND.replace("  drug:", "  Drug-1:"), "no code"),
        (SOUND.replace("{{药: 葯}}", "{{药: 1}}"), "the integer"),
        (SOUND.replace("{{药: 葯}}", "{{药品: 葯}}"), "no character with its variants"),
        (SOUND.replace("WITHHELD", "MOBILE"), "could not be judged"),
    ],
)
def test_mistakes_outside_a_rules_members(tmp_path, text, said):
    """Codes, variants, and the rule that every file must have."""
    path = tmp_path / "content_rules.yaml"
    path.write_text(text.format(severity="soft", action="hold", what="find: [药]"), encoding="utf-8")
    with pytest.raises(PackError, match=said):
        load_content_rules(path)


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ({"what": "find: ['药+']"}, "a repetition without an end"),
        ({"what": "find: ['药{2,}']"}, "a repetition without an end"),
        ({"what": "find: ['(?:药品){2,3}']"}, "a repeated group"),
        ({"what": "find: ['(药)']"}, "a group that keeps"),
        ({"what": "find: ['药{1,99}']"}, "too long"),
        ({"what": "find: ['[药]{1,40}[品]{1,40}[类]{1,40}']"}, "too long"),
        ({"what": r"find: ['\b药']"}, "a class that Chinese"),
        ({"what": "find: [CT]"}, "a capital letter"),
        ({"what": "find: ['药?']"}, "matches nothing"),
        ({"what": "find: ['[药']"}, "no pattern"),
        ({"what": "find: [<nothing>]"}, "there are no words"),
        ({"what": "find: [药]\n    identifiers: [MOBILE]"}, "both find and identifiers"),
        ({"what": "excused_by: [denied]"}, "nothing that breaks the rule"),
        ({"what": "find: [药]\n    excused_by: [nothing]"}, "unknown value"),
        ({"what": "identifiers: [TELEX]"}, "unknown value"),
        ({"what": "find: [药]\n    near: [{reach: page}]"}, "a condition"),
        ({"what": "find: [药]\n    near: [{patterns: [品], reach: page, side: before}]"}, "a side or a distance"),
        ({"what": "find: [药]\n    extra: 1"}, "unknown key"),
        ({"severity": "hard"}, "a hard rule with the action hold"),
        ({"action": "block"}, "a soft rule with the action block"),
        ({"action": "allow"}, "a soft rule with the action allow"),
    ],
)
def test_mistakes_are_told_with_file_and_line(tmp_path, mistake, said):
    """Nothing that is not understood is left out in silence."""
    path = written(tmp_path, **mistake)
    with pytest.raises(PackError, match=said) as caught:
        load_content_rules(path)
    assert all(mistake.file == str(path) and mistake.line > 1 for mistake in caught.value.mistakes)
