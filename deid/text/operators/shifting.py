"""Days moved by a number of days that is the subject's own secret: intervals stay, the calendar does not."""

from datetime import timedelta

from deid.text.days import read_day
from deid.text.kinds import MARKS, Kind
from deid.text.operators.setting import Found, Setting
from kernel.errors import BadInput


class ShiftDate:
    """Writes a day again in its own form; the mark where it cannot be read, as lunar days."""

    needs = frozenset(("shift_days",))

    def replace(self, found: Found, setting: Setting) -> str:
        """Return the moved day with its time of day.

        Raises:
            BadInput: the setting has no days to move by, or none at all.
        """
        if not setting.shift_days:
            raise BadInput("Days are moved by no days", hint="Give the subject's own offset, other than 0.")
        text = found.folded
        day = read_day(text) if found.kind is Kind.DATE else None
        if day is None:
            return MARKS[found.kind]
        try:
            moved = next(day.dates(setting.year)) + timedelta(days=setting.shift_days)
        except OverflowError:
            return MARKS[found.kind]
        return day.rewritten(moved) + text[day.end :]
