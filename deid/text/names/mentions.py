"""Names of accounts behind an @: whoever is addressed there is a person unless the name says that it is a body."""

import re
from collections.abc import Iterator
from typing import Final

_MENTION: Final = re.compile(r"(?<![A-Za-z0-9._%+-])@(?P<name>[\u3400-\u9fffA-Za-z0-9_·-]{2,20}+)(?![.@])")

_BODY: Final = re.compile(
    "官方|官微|微博|公司|新闻|日报|晚报|早报|时报|周刊|杂志|频道|电视|电台|广播|网|报社|客服|旗舰店|专卖|酒店|餐厅|中心|协会|学会|"
    "大学|学院|中学|小学|医院|诊所|集团|银行|基金|俱乐部|乐队|乐团|剧场|影院|影视|传媒|出版|书店|商城|超市|科技|电影|平安|发布|公安|"
    "政府|法院|检察|团委|委员会|博物馆|图书馆|旅游|招聘|美食|星座|语录|搞笑|精选|排行|头条|资讯|攻略|所有人|全体"
)


def mentioned_names(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and rule of the account names that are addressed."""
    if "@" not in text:
        return
    for match in _MENTION.finditer(text):
        name = match.group("name")
        if _BODY.search(name) is None and not name.isdigit():
            yield match.start("name"), match.end("name"), "person.mention"
