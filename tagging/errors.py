"""What can be wrong with a rule, a taxonomy or the files that it is evaluated on."""

from kernel.errors import BadInput
from tagging.syntax import Place


class ExpressionError(BadInput):
    """An expression is not in the language; ``place`` is where in its text, counted from 1.

    The message names words of the expression, which its author wrote; it never holds a value of a data subject.
    """

    def __init__(self, problem: str, place: Place, *, expected: str = "") -> None:
        self.problem = problem
        self.place = place
        self.expected = expected
        tail = f"; expected {expected}" if expected else ""
        super().__init__(f"line {place.line}, column {place.column} of the expression: {problem}{tail}")


class InputRefused(BadInput):
    """A Parquet file given to the tag engine is not one of the de-identified views, or cannot be read."""
