"""k-anonymity by person, against brute force on small tables."""

from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction
from itertools import product

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid import lattice
from deid.hierarchies import AGE_BAND, FLAT, PROVINCE, Hierarchy, hierarchy_of_rows
from deid.privacy import CannotRelease, anonymise, measure_k, measure_risk
from kernel.errors import BadInput

QUASI = ("age_band", "sex", "province")
HIERARCHIES = {"age_band": AGE_BAND, "sex": FLAT, "province": PROVINCE}
_AGES = ("30-34", "35-39", "40-44", "90+", None)
_SEXES = ("female", "male")
_PLACES = ("110000", "120000", "440000", None)

ROWS = st.lists(
    st.tuples(st.integers(0, 11), st.sampled_from(_AGES), st.sampled_from(_SEXES), st.sampled_from(_PLACES)),
    min_size=1,
    max_size=24,
)
ONE_A_PERSON = ROWS.map(lambda rows: [(n, *row[1:]) for n, row in enumerate(rows)])


def _table(rows):
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    names = ("pseudonym", *QUASI)
    values = [[f"p{person:03d}" for person in columns[0]], *columns[1:]]
    return pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, values, strict=True)})


def _brute_groups(rows):
    """Count persons by the set of combinations that their rows show."""
    shown = defaultdict(set)
    for person, *known in rows:
        shown[person].add(tuple(known))
    return Counter(frozenset(known) for known in shown.values())


def _brute_search(rows, k, allowed):
    """Try every setting; return (dm, height, levels, suppressed) of the best within the limit, or None."""
    found = []
    used = [HIERARCHIES[name] for name in QUASI]
    for levels in product(*(range(len(hierarchy.levels)) for hierarchy in used)):
        coarse = [
            (person, *(h.generalised(v)[level] for h, v, level in zip(used, known, levels, strict=True)))
            for person, *known in rows
        ]
        sizes = list(_brute_groups(coarse).values())
        suppressed = sum(size for size in sizes if size < k)
        dm = sum(size**2 for size in sizes if size >= k) + suppressed * sum(sizes)
        if suppressed <= allowed and suppressed < sum(sizes):
            found.append((dm, sum(levels), levels, suppressed))
    return min(found, default=None)


@given(ROWS)
def test_k_is_that_of_brute_force(rows):
    """Rows of one person are linked: what counts is the set of combinations that a person shows."""
    assert measure_k(_table(rows), QUASI) == min(_brute_groups(rows).values())


@given(ROWS)
def test_k_by_row_is_that_of_brute_force(rows):
    """Without persons every row is one."""
    assert measure_k(_table(rows), QUASI, person=None) == min(Counter(row[1:] for row in rows).values())


@given(ROWS)
def test_risk_is_that_of_brute_force(rows):
    """Persons, classes, average risk and uniqueness."""
    groups = _brute_groups(rows).values()
    risk = measure_risk(_table(rows), QUASI)
    assert (risk.persons, risk.classes) == (sum(groups), len(groups))
    assert risk.highest == Fraction(1, min(groups))
    assert risk.average == Fraction(len(groups), sum(groups))
    assert risk.unique == Fraction(sum(1 for size in groups if size == 1), sum(groups))


@given(st.one_of(ROWS, ONE_A_PERSON), st.integers(2, 5), st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("0.5")]))
def test_setting_found_is_the_best_of_all(rows, k, limit):
    """The bound loses no optimum; what comes out has k, keeps the limit and leaves nobody half."""
    persons = len({row[0] for row in rows})
    best = _brute_search(rows, k, int(limit * persons))
    if best is None:
        with pytest.raises(CannotRelease):
            anonymise(_table(rows), quasi_identifiers=QUASI, hierarchies=HIERARCHIES, k=k, suppression_limit=limit)
        return
    made = anonymise(_table(rows), quasi_identifiers=QUASI, hierarchies=HIERARCHIES, k=k, suppression_limit=limit)
    dm, _, levels, suppressed = best
    assert (made.dm, made.suppressed, made.persons) == (dm, suppressed, persons)
    assert tuple(made.levels.values()) == tuple(
        HIERARCHIES[name].levels[level] for name, level in zip(QUASI, levels, strict=True)
    )
    assert made.k == measure_k(made.table, QUASI) >= k
    assert made.suppressed <= limit * persons
    stayed = Counter(made.table.column("pseudonym").to_pylist())
    came = Counter(f"p{row[0]:03d}" for row in rows)
    assert len(stayed) == persons - suppressed
    assert all(came[person] == count for person, count in stayed.items())


def test_one_person_with_many_rows_is_one():
    """Five rows of one person are no crowd."""
    rows = [(1, "30-34", "male", "110000")] * 5 + [(n, "35-39", "male", "110000") for n in range(2, 7)]
    assert measure_k(_table(rows), QUASI) == 1
    assert measure_k(_table(rows), QUASI, person=None) == 5


def test_linked_rows_single_a_person_out():
    """Each combination has two persons, the pair of combinations has one."""
    rows = [
        (1, "30-34", "male", "110000"),
        (1, "35-39", "male", "110000"),
        (2, "30-34", "male", "110000"),
        (3, "35-39", "male", "110000"),
    ]
    assert measure_k(_table(rows), QUASI) == 1


def test_generalised_columns_are_text_and_others_stay():
    """Rows come out by pseudonym, so that the order of the source tells nothing."""
    rows = [(n, "30-34", "male", "110000") for n in (3, 1)] + [(n, "35-39", "male", "120000") for n in (2, 0)]
    table = _table(rows).append_column("groups", pa.array([["I10"], None, ["E11", "I10"], []], pa.list_(pa.string())))
    made = anonymise(table, quasi_identifiers=QUASI, hierarchies=HIERARCHIES, k=4, suppression_limit=Decimal(0))
    assert made.table.to_pydict() == {
        "pseudonym": ["p000", "p001", "p002", "p003"],
        "age_band": ["30-39"] * 4,
        "sex": ["male"] * 4,
        "province": ["1*****"] * 4,
        "groups": [[], None, ["E11", "I10"], ["I10"]],
    }
    assert made.levels == {"age_band": "10-year", "sex": "value", "province": "region"}
    assert (made.k, made.classes, made.dm, made.suppressed) == (4, 1, 16, 0)


def test_truth_values_and_numbers_can_be_quasi_identifiers():
    """A tag may tell of one; its cells become text."""
    table = pa.table({"pseudonym": ["a", "b", "c", "d"], "minor": [True, True, False, None], "visits": [1, 1, 1, 1]})
    made = anonymise(
        table,
        quasi_identifiers=("minor", "visits"),
        hierarchies={"minor": FLAT, "visits": FLAT},
        k=2,
        suppression_limit=Decimal("0.5"),
    )
    assert made.table.to_pydict() == {"pseudonym": ["a", "b"], "minor": ["true"] * 2, "visits": ["1"] * 2}


def test_refusal_names_the_nearest_change_and_no_value():
    """Levels, counts and the k that would pass; never a value."""
    rows = [(n, "30-34", "male", "110000") for n in range(3)] + [(3, "90+", "female", "440000")]
    bounded = {"age_band": AGE_BAND.up_to("10-year"), "sex": FLAT.up_to("value"), "province": PROVINCE}
    with pytest.raises(CannotRelease) as caught:
        anonymise(_table(rows), quasi_identifiers=QUASI, hierarchies=bounded, k=3, suppression_limit=Decimal("0.1"))
    err = caught.value
    assert (err.suppressed, err.persons, err.reachable_k) == (1, 4, 1)
    assert err.message.startswith("No setting reaches k=3 with at most 10% left out")
    assert "1 of 4 persons" in err.message
    assert err.levels.keys() == set(QUASI)
    for value in ("30-34", "male", "110000", "90+"):
        assert value not in err.diagnostics()


def test_refusal_names_the_k_that_would_pass():
    """Two classes of two and three: k=2 is what these persons allow."""
    rows = [(n, "30-34", "male", "110000") for n in range(2)] + [(n, "30-34", "female", "110000") for n in range(2, 5)]
    fixed = {"age_band": AGE_BAND.up_to("5-year"), "sex": FLAT.up_to("value"), "province": PROVINCE.up_to("province")}
    with pytest.raises(CannotRelease, match="No setting reaches k=3") as caught:
        anonymise(_table(rows), quasi_identifiers=QUASI, hierarchies=fixed, k=3, suppression_limit=Decimal("0.2"))
    assert caught.value.hint.startswith("Ask for k=2, allow 40.0 % to be left out")


def test_fewer_persons_than_k_are_never_released():
    """Not even with everything generalised, and never an empty release."""
    rows = [(n, "30-34", "male", "110000") for n in range(4)]
    for limit in (Decimal(0), Decimal(1)):
        with pytest.raises(CannotRelease):
            anonymise(_table(rows), quasi_identifiers=QUASI, hierarchies=HIERARCHIES, k=5, suppression_limit=limit)


def test_nobody_is_not_released():
    """A table without rows has no k."""
    assert measure_k(_table([]), QUASI) == 0
    assert measure_risk(_table([]), QUASI).persons == 0
    with pytest.raises(CannotRelease, match="0 of 0 persons"):
        anonymise(_table([]), quasi_identifiers=QUASI, hierarchies=HIERARCHIES, k=2, suppression_limit=Decimal(1))


def test_limit_is_counted_exactly():
    """29 of 100 at 0.29 is within the limit; binary fractions would say 28."""
    rows = [(n, "30-34", "male", "110000") for n in range(71)] + [(n, "90+", "male", "110000") for n in range(71, 100)]
    fixed = {"age_band": AGE_BAND.up_to("5-year"), "sex": FLAT.up_to("value"), "province": PROVINCE.up_to("province")}
    made = anonymise(_table(rows), quasi_identifiers=QUASI, hierarchies=fixed, k=30, suppression_limit=Decimal("0.29"))
    assert made.suppressed == 29


@pytest.mark.parametrize(("k", "limit"), [(1, "0.1"), (0, "0"), (5, "-0.1"), (5, "1.1")])
def test_k_and_limit_out_of_range_are_refused(k, limit):
    """k=1 is no anonymity, a limit is a share."""
    with pytest.raises(BadInput, match="k is below 2"):
        anonymise(
            _table([(1, "30-34", "male", "110000")]),
            quasi_identifiers=QUASI,
            hierarchies=HIERARCHIES,
            k=k,
            suppression_limit=Decimal(limit),
        )


@pytest.mark.parametrize(
    ("quasi", "message"),
    [((), "no quasi-identifier"), (("shoe",), "no column 'shoe'"), (("groups",), "several values")],
)
def test_columns_that_cannot_be_measured_are_refused(quasi, message):
    """Nothing to measure, an unknown column, a set of values."""
    table = _table([(1, "30-34", "male", "110000")]).append_column("groups", pa.array([["I10"]]))
    with pytest.raises(BadInput, match=message):
        measure_k(table, quasi)


def test_row_of_nobody_is_refused():
    """A row without a pseudonym would count as one more person or vanish."""
    table = pa.table({"pseudonym": ["a", None], "sex": ["male", "male"]})
    with pytest.raises(BadInput, match="A row has no pseudonym"):
        measure_k(table, ("sex",))


def test_value_outside_its_hierarchy_is_refused():
    """Nothing is guessed and nothing is passed as it is."""
    with pytest.raises(BadInput, match="age_band: a value has no place"):
        anonymise(
            _table([(n, "thirty", "male", "110000") for n in range(5)]),
            quasi_identifiers=QUASI,
            hierarchies=HIERARCHIES,
            k=2,
            suppression_limit=Decimal(0),
        )


def test_quasi_identifier_without_hierarchy_is_refused():
    """It would stay as fine as it is by accident."""
    with pytest.raises(BadInput, match="'province' has no hierarchy"):
        anonymise(
            _table([(1, "30-34", "male", "110000")]),
            quasi_identifiers=QUASI,
            hierarchies={"age_band": AGE_BAND, "sex": FLAT},
            k=2,
            suppression_limit=Decimal(0),
        )


def _two_persons(hierarchy: Hierarchy):
    return anonymise(
        pa.table({"pseudonym": ["x", "y"], "sex": ["a", "b"]}),
        quasi_identifiers=("sex",),
        hierarchies={"sex": hierarchy},
        k=2,
        suppression_limit=Decimal(0),
    )


def test_level_that_splits_values_is_refused():
    """The search relies on levels that only merge."""
    with pytest.raises(BadInput, match="level 2 splits values"):
        _two_persons(hierarchy_of_rows("odd", [("a", "c", "d"), ("b", "c", "e")]))


def test_hierarchy_shorter_than_it_says_is_refused():
    """A path that ends early has no value for the last levels."""
    with pytest.raises(BadInput, match="has no place"):
        _two_persons(Hierarchy("short", ("value", "*"), lambda value: (value,)))


def test_lattice_that_is_too_large_is_refused(monkeypatch):
    """A mistake in hierarchies does not become an endless search."""
    monkeypatch.setattr(lattice, "MOST_NODES", 1)
    with pytest.raises(BadInput, match="more than 1 settings"):
        _two_persons(FLAT)


def test_many_wide_quasi_identifiers_do_not_overflow():
    """Combinations are renumbered before their product leaves 64 bits."""
    size = 4000
    columns = {f"q{n}": [str((row * (n + 1)) % size) for row in range(size)] for n in range(8)}
    table = pa.table({"pseudonym": [f"p{row}" for row in range(size)], **columns})
    assert measure_k(table, list(columns)) == 1
    doubled = pa.concat_tables([table, table.set_column(0, "pseudonym", pa.array([f"r{row}" for row in range(size)]))])
    assert measure_k(doubled, list(columns)) == 2
