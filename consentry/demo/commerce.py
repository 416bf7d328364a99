"""The made-up shop's orders as a dirty CSV, and the app's events as NDJSON."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from consentry.demo.people import Person

ORDER_HEADER: Final = ("订单号", "会员号", "下单时间", "金额", "状态", "支付方式", "处方药", "备注")

_SEARCHES: Final = {
    "hypertension": ("头晕", "高血压吃什么", "血压计推荐"),
    "diabetes": ("血糖高", "糖尿病食谱"),
    "insomnia": ("失眠", "睡不着怎么办"),
    "preparing": ("叶酸", "孕前检查"),
    "pregnant": ("孕期补钙", "产检时间表"),
    "postpartum": ("产后恢复", "母乳喂养"),
    "respiratory": ("咳嗽", "感冒药"),
}
_TOPICS: Final = ("养生食谱", "用药指南", "母婴", "老年健康", "慢病管理")
_DEPARTMENTS: Final = ("内科", "儿科", "心内科", "内分泌科", "妇产科", "皮肤科")


READING_HEADER: Final = ("用户ID", "测量时间", "指标", "数值", "单位", "设备", "范围")

ORDER_MAP: Final = """\
# Which column of the shop's orders is which field.
source: shop
subject: 会员号
time: 下单时间
time_zone: Asia/Shanghai
ignore: [备注]
records:
  - kind: order
    record: 订单号
    columns:
      订单号: order_id
      金额: order_amount
      状态: {field: order_status, words: {已完成: completed, 已退款: refunded, 已取消: cancelled}}
      支付方式: payment_method
      处方药: prescription_sale
"""


class Shop:
    """Writes orders the way shops do: other date forms, full-width digits, doubles, a few broken rows."""

    def __init__(self, *, seed: int, today: date) -> None:
        self._random = random.Random(seed * 7919 + 2)
        self._today = today
        self._number = 0

    def rows(self, person: Person) -> Iterator[tuple[str, ...]]:
        """Yield the person's orders, some of them dirty."""
        for _ in range(self._random.choice((0, 1, 1, 2, 3, 6))):
            row = self._row(person, self._today - timedelta(days=self._random.randint(1, 360)))
            yield row
            if self._random.random() < 0.03:
                yield row

    def old_row(self, person: Person) -> tuple[str, ...]:
        """Return one order that is older than every legal floor on orders (five years for prescription sales)."""
        return self._row(person, self._today - timedelta(days=self._random.randint(5 * 366, 6 * 365)), dirty=False)

    def _row(self, person: Person, day: date, *, dirty: bool = True) -> tuple[str, ...]:
        self._number += 1
        amount = f"{self._random.choice((19.9, 39, 68, 128, 256, 499, 899)):.2f}"
        if dirty and self._random.random() < 0.02:
            day = self._today + timedelta(days=400)
        if dirty and self._random.random() < 0.02:
            amount = "-" + amount
        if dirty and self._random.random() < 0.05:
            amount = amount.translate(str.maketrans("0123456789.", "０１２３４５６７８９．"))
        return (
            f"SO{self._number:010d}",
            person.shop_id,
            self._date_text(day) if dirty else f"{day:%Y-%m-%d} 10:00:00",
            amount,
            self._random.choice(("已完成", "已完成", "已完成", "已退款", "已取消")),
            self._random.choice(("微信", "支付宝", "医保")),
            self._random.choice(("是", "否", "否")),
            self._random.choice(("", "", "送货前联系", "放门卫")),
        )

    def _date_text(self, day: date) -> str:
        form = self._random.choice(("%Y-%m-%d 10:12:33", "%Y/%m/%d 09:05", "%Y年%m月%d日", "%Y%m%d"))
        return day.strftime(form)


class App:
    """Writes events the way a tracker does: distinct_id, event, time, properties."""

    def __init__(self, *, seed: int, today: date) -> None:
        self._random = random.Random(seed * 7919 + 3)
        self._today = today

    def events(self, person: Person) -> Iterator[dict[str, Any]]:
        """Yield the person's events of the last 120 days."""
        for _ in range(self._random.choice((0, 2, 4, 8, 14, 24))):
            name, properties = self._event(person)
            yield {
                "distinct_id": person.app_id,
                "event": name,
                "time": self._moment().isoformat(),
                "properties": properties,
            }
        yield from self._referral(person)

    def _referral(self, person: Person) -> Iterator[dict[str, Any]]:
        """Tell of an invitation on both sides: who invited, and that the invited one viewed and joined."""
        if person.referred_by is None:
            return
        inviter = f"u-{person.referred_by:06d}"
        yield {"distinct_id": inviter, "event": "InviteFriend", "time": self._moment().isoformat(), "properties": {}}
        for node in ("view", "join"):
            yield {
                "distinct_id": person.app_id,
                "event": "referral_step",
                "time": self._moment().isoformat(),
                "properties": {"referrer": inviter, "referral_node": node},
            }

    def readings(self, person: Person) -> Iterator[tuple[str, ...]]:
        """Yield rows of the person's blood pressure cuff."""
        if "hypertension" not in person.conditions or self._random.random() < 0.4:
            return
        for _ in range(self._random.randint(2, 6)):
            value = self._random.randint(118, 172)
            said = "偏高" if value >= 140 else "正常"
            when = f"{self._moment():%Y-%m-%d %H:%M:%S}"
            yield person.app_id, when, "收缩压", str(value), "mmHg", "臂式血压计", said

    def _event(self, person: Person) -> tuple[str, dict[str, Any]]:
        draw = self._random.random()
        session = f"s{self._random.getrandbits(40):010x}"
        if draw < 0.3:
            return "SignIn", {"session_id": session}
        if draw < 0.5:
            words = [w for c in person.conditions for w in _SEARCHES.get(c, ())] or ["体检", "感冒"]
            return "SearchDone", {"session_id": session, "keyword": self._random.choice(words)}
        if draw < 0.65:
            stay = self._random.randint(5, 900) * 1000
            return "ViewPage", {"session_id": session, "page_name": "慢病专区", "stay_ms": stay}
        if draw < 0.75:
            return "SaveContent", {"session_id": session, "channel_topic": self._random.choice(_TOPICS)}
        if draw < 0.87:
            consult = {
                "dept": self._random.choice(_DEPARTMENTS),
                "consult_type": self._random.choice(("图文", "图文", "视频")),
                "duration_s": self._random.randint(2, 40) * 60,
                "questions": self._random.randint(1, 12),
            }
            return "FinishConsult", consult
        if draw < 0.93:
            return "ShareContent", {"share_count": 1, "channel_topic": self._random.choice(_TOPICS)}
        taken = self._random.random() < 0.7
        return "TakeMedicine" if taken else "MissMedicine", {"taken": taken}

    def _moment(self) -> datetime:
        day = self._today - timedelta(days=min(int(self._random.expovariate(1 / 25)) + 1, 119))
        hour = self._random.choice((0, 0, 1, 4, 6, 8, 11, 13, 14, 15, 16, 18))
        return datetime.combine(day, time(hour, self._random.randint(0, 59), self._random.randint(0, 59)), tzinfo=UTC)
