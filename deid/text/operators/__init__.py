"""What stands in the place of an identifier: marks, masks, pseudonyms, surrogates, moved days, wider values."""

from deid.text.operators.generalising import Generalise
from deid.text.operators.marks import Keep, Redact
from deid.text.operators.masks import Mask
from deid.text.operators.pseudonyms import KeyedTokeniser, Pseudonym
from deid.text.operators.setting import Found, Operator, Setting
from deid.text.operators.shifting import ShiftDate
from deid.text.operators.surrogates import Surrogate

__all__ = [
    "Found", "Generalise", "Keep", "KeyedTokeniser", "Mask", "Operator", "Pseudonym", "Redact", "Setting", "ShiftDate",
    "Surrogate",
]  # fmt: skip
