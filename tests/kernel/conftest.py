"""A small pack that is whole, and a way to break it at one place."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.pack import PackError, load_pack

_NOTICE = """\
code: service
version: 2026-11
locale: {locale}
title: Notice
purposes: [P01, P02]
sections:
  controller: Hospital
  contact: privacy@hospital.example
  purpose: care
  method: encrypted
  categories: identity and record
  retention: 15 years
  end_of_retention: keys are destroyed
  rights: withdraw at any time
  necessity: care needs it
  impact: a leak could harm
collected:
  - {{item: name, purpose: record, method: entered, retention: 15 years}}
third_parties:
  - recipient: {pharmacy}
    contact: shop@pharmacy.example
    purpose: delivery
    method: encrypted
    categories: diagnosis
"""

SMALL_PACK = {
    "pack.yaml": "name: small\nversion: 2026.11.1\ntime_zone: Asia/Shanghai\n",
    "fields.yaml": """\
name:
  label: {zh: 姓名, en: name}
  class: direct
  level: 4
  compartment: identity
  type: string
  collect: P01
  further: [P03]
  consent: contract
  transform: drop
  retention: {keep: 15y, floor: 15y}
diagnosis:
  label: {zh: 诊断, en: diagnosis}
  class: sensitive
  level: 2
  compartment: clinical
  type: code
  code_system: icd10
  collect: P02
  consent: separate
  transform: icd10_group
  retention: 15y
  repeated: true
event_type:
  label: {zh: 事件, en: event}
  class: behaviour
  level: 2
  compartment: behaviour
  type: string
  collect: P02
  consent: opt_in
  transform: code
  retention: 6m
  allowed: [login, logout]
season:
  label: {zh: 季节, en: season}
  class: operational
  level: 1
  compartment: operational
  type: string
  collect: P02
  consent: none
  transform: keep
  retention: account
""",
    "purposes.yaml": """\
P01:
  label: {zh: 账号, en: account}
  bases: [contract, consent]
  separate: true
  per_recipient: false
  withdrawable: true
  sensitive: false
  needs_assessment: false
P02:
  label: {zh: 诊疗, en: care}
  bases: [consent]
  separate: true
  per_recipient: true
  withdrawable: true
  sensitive: true
  recipients: [pharmacy]
  necessity: {zh: 必要, en: needed}
  impact: {zh: 影响, en: impact}
  needs_assessment: true
  assessment: PIA-1
P03:
  label: {zh: 法定, en: statutory}
  bases: [legal_duty]
  separate: false
  per_recipient: false
  withdrawable: false
  sensitive: false
  needs_assessment: false
""",
    "events.yaml": """\
login:
  label: {zh: 登录, en: login}
  actor: subject
  properties: [event_type, season]
  required: [event_type]
  purposes: [P02]
  retention: 6m
""",
    "relations.yaml": """\
guardian_of:
  label: {zh: 监护, en: guardian}
  roles: [guardian, ward]
  verification: document
  both_consent: false
""",
    "roles.yaml": """\
clinician:
  label: {zh: 医生, en: clinician}
  acts: [vault.reveal]
  purposes: [P02]
  max_level: 4
  fields: [diagnosis]
""",
    "recipients.yaml": """\
pharmacy:
  kind: controller
  name: {zh: 药房, en: Pharmacy}
  contact: shop@pharmacy.example
  country: CN
  purposes: [P02]
  fields: [diagnosis]
  method: encrypted
  contract: C-1
  term_from: 2026-01-01
  term_until: 2029-01-01
  approved_by: board
press:
  kind: processor
  name: {zh: 印刷, en: Press}
  contact: shop@press.example
  country: SG
  purposes: [P02]
  method: on paper
  contract: C-2
  term_from: 2026-01-01
  mechanism: {kind: standard_contract, document: SC-1, until: 2028-01-01}
binder:
  kind: processor
  name: {zh: 装订, en: Binder}
  contact: shop@binder.example
  country: CN
  purposes: [P02]
  method: on paper
  contract: C-3
  term_from: 2026-01-01
  engaged_by: press
""",
    "assessments/PIA-1.yaml": """\
id: PIA-1
purposes: [P02]
approved_by: office
approved_on: 2026-10-01
expires_on: 2029-10-01
parts:
  legality_and_necessity: needed
  impact_and_risk: small
  protective_measures: encrypted
""",
    "notices/service.zh-CN.yaml": _NOTICE.format(locale="zh-CN", pharmacy="药房"),
    "notices/service.en.yaml": _NOTICE.format(locale="en", pharmacy="Pharmacy"),
}


@pytest.fixture
def small_pack(tmp_path: Path) -> Path:
    """The folder of a small pack without mistakes."""
    folder = tmp_path / "small"
    (folder / "notices").mkdir(parents=True)
    (folder / "assessments").mkdir()
    for name, content in SMALL_PACK.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.fixture
def broken(small_pack: Path) -> Callable[..., list[str]]:
    """Replace text in one file and return the mistakes that loading reports, as ``file:line: what; expected …``."""

    def _broken(file: str, *replacements: tuple[str, str]) -> list[str]:
        path = small_pack / file
        content = path.read_text(encoding="utf-8")
        for old, new in replacements:
            assert old in content, f"{old!r} does not stand in {file}"
            content = content.replace(old, new, 1)
        path.write_text(content, encoding="utf-8")
        with pytest.raises(PackError) as caught:
            load_pack(small_pack)
        return [str(mistake).removeprefix(f"{small_pack}/") for mistake in caught.value.mistakes]

    return _broken
