"""A merger over HTTP: people are told of the new controller, and asked for what it newly wants (R40)."""

import shutil

import pytest

from consentry.platform import open_platform
from consentry.settings import load_settings
from consentry.workflows.load_pack import load_changed_pack
from kernel.pack import builtin_pack_path
from tests.consentry.api.conftest import Client
from tests.consentry.conftest import ADMIN

PURPOSE = """
P20:
  label: {zh: 集团会员, en: group membership}
  bases: [consent]
  separate: true
  per_recipient: false
  withdrawable: true
  sensitive: false
  needs_assessment: false
"""
OLD, NEW = "Example Online Hospital Co., Ltd.", "Merged Online Hospital Co., Ltd."


@pytest.fixture
def merged_pack(tmp_path):
    """The pack of the company after the merger: another controller in one notice, and a purpose with its own notice."""
    folder = shutil.copytree(builtin_pack_path("medical"), tmp_path / "merged")
    purposes = folder / "purposes.yaml"
    purposes.write_text(purposes.read_text(encoding="utf-8") + PURPOSE, encoding="utf-8")
    fields, before = folder / "fields.yaml", "further: [P07, P12], consent: opt_in, transform: keep, retention: 1y}"
    text = fields.read_text(encoding="utf-8")
    assert before in text
    fields.write_text(text.replace(before, before.replace("P12]", "P12, P20]")), encoding="utf-8")
    for locale, old, new in (("en", OLD, NEW), ("zh-CN", "示例互联网医院有限公司", "合并互联网医院有限公司")):
        text = (folder / "notices" / f"marketing.2026-11.{locale}.yaml").read_text(encoding="utf-8")
        assert old in text
        later = text.replace("version: 2026-11", "version: 2026-12")
        (folder / "notices" / f"marketing.2026-11.{locale}.yaml").unlink()
        (folder / "notices" / f"marketing.2026-12.{locale}.yaml").write_text(later.replace(old, new), encoding="utf-8")
        group = later.replace("code: marketing", "code: group").replace("[P09]", "[P20]").replace("P09", "P20")
        (folder / "notices" / f"group.2026-12.{locale}.yaml").write_text(group.replace(old, new), encoding="utf-8")
    return folder


def test_new_controller_is_told_and_new_purpose_is_asked(deployment, merged_pack, clock, capturing, serve):
    """R40: `inform` for the grant, which goes on, `ask` for what the new company wants beyond it."""
    import httpx

    with open_platform(deployment.settings, clock=clock) as platform:
        captured = capturing(platform)
        subject = captured.person("u-1", "P09")
        key, token = captured.machine_key("capture"), captured.token("clinician")
    settings = load_settings(**{**deployment.settings.model_dump(), "pack": str(merged_pack)})
    with open_platform(settings, clock=clock, check_pack=False) as platform:
        load_changed_pack(platform, ADMIN)
    with (
        open_platform(settings, clock=clock) as platform,
        serve(platform) as address,
        httpx.Client(base_url=address, trust_env=False, timeout=30) as http,
    ):
        found = Client(http, key).get(f"/subjects/{subject}/due", channel="app", locale="en").json()["items"]
        due = {item["purpose"]: item for item in found}
        assert (due["P09"]["kind"], due["P09"]["notice"]["version"]) == ("inform", "2026-12")
        assert (due["P20"]["kind"], due["P20"]["renews"]) == ("ask", None)
        asked = {"subject_id": subject, "fields": ["coupon"]}
        staff = Client(http, token)
        assert staff.post("/decisions", {**asked, "purpose": "P09"}).json()["permitted"] is True
        assert staff.post("/decisions", {**asked, "purpose": "P20"}).json()["permitted"] is False
