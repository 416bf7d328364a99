"""A published notice under words: the law's order, headings in both languages, whatever order its JSON has."""

import json

from consent.notice_content import SECTIONS
from consent.notice_texts import current_notice
from consentry.workflows.notice_words import HEADINGS, parts_of


def test_every_section_and_column_of_the_pack_has_words_in_the_order_of_the_law(platform):
    """No code stands as a heading; sections stand as PIPL 17 lists them, and every word of the text is there."""
    with platform.data.read() as connection:
        published = [current_notice(connection, text.code, text.locale) for text in platform.catalogue.notices]
    for notice in published:
        content, parts = json.loads(notice.content), parts_of(notice)
        zh = notice.ref.locale == "zh-CN"
        order = [(HEADINGS[name].zh if zh else HEADINGS[name].en) for name in SECTIONS]
        assert [heading.text for heading, _ in parts.sections][: len(SECTIONS)] == order
        assert {text for _, text in parts.sections} == set(content["sections"].values())
        columns = [column for table in parts.tables for column in table.columns]
        assert all(one.second and one.text != one.second for one in columns)
        cells = {cell for table in parts.tables for row in table.rows for cell in row}
        assert cells == {
            cell for name in ("collected", "third_parties") for row in content[name] for cell in row.values()
        }
