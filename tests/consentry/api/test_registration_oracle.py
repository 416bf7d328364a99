"""Nobody learns who is registered, or which decisions exist, by trying."""

from kernel.ids import new_id

NUMBER = "11010519491231002X"
OTHERS = ("11010519491231003X", "110105194912310054", "110105194912310070")


def _checked(number: str) -> str:
    """The number with the check digit of GB 11643."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return number[:17] + "10X98765432"[sum(int(a) * b for a, b in zip(number[:17], weights, strict=True)) % 11]


def test_key_at_its_cap_cannot_try_out_numbers_by_closing(call, captured, refused):
    """Whether the number is registered or not, the answer is the cap's, for every act that names people by a number."""
    captured.record(captured.act("contract", {"source": "app", "id": "u-77", "id_number": NUMBER}, "P01", "P02"))
    app = call(captured.machine_key("capture", cap=1))
    refused(app.post("/consents", captured.act("withdraw", captured.known("u-404"), "P07")), 404, "NotFound")
    for act in ("withdraw", "refuse", "end", "grant"):
        for number in (NUMBER, *map(_checked, OTHERS)):
            who = {"source": "other", "id_number": number}
            said = app.post("/consents", captured.act(act, who, "P02", notice=captured.notice("P02")))
            refused(said, 429, "DailyCapReached")


def test_values_beside_an_id_count_as_well(call, captured, refused):
    """An id that does not exist with a number, a mobile or a birth date that may: the cap is for these too."""
    subject = captured.person("u-1", birth_date="1990-05-20")
    captured.grant("u-1", "P07")
    app = call(captured.machine_key("capture", cap=1))
    refused(app.post("/consents", captured.act("withdraw", captured.known("u-404"), "P07")), 404, "NotFound")
    for more in ({"id_number": NUMBER}, {"mobile": "13812345678"}, {"birth_date": "1990-05-20"}, {"sex": "female"}):
        for name in ("u-1", "u-405"):
            said = app.post("/consents", captured.act("withdraw", captured.known(name) | more, "P07"))
            refused(said, 429, "DailyCapReached")
    actor = {"kind": "guardian", "subject": {"source": "app", "id_number": NUMBER}}
    said = app.post("/consents", captured.act("withdraw", {"subject_id": subject}, "P07", actor=actor))
    refused(said, 429, "DailyCapReached")


def test_closing_by_ids_passes_a_reached_cap(call, captured):
    """R14: who is known by an id can withdraw through a key that has touched its people of today."""
    subject = captured.person("u-1", "P07", "P08")
    app = call(captured.machine_key("capture", cap=1))
    assert app.post("/consents", captured.act("withdraw", captured.known("u-404"), "P07")).status_code == 404
    for who, purpose in ((captured.known("u-1"), "P07"), ({"subject_id": subject}, "P08")):
        assert app.post("/consents", captured.act("withdraw", who, purpose)).status_code == 201


def test_decision_that_does_not_exist_looks_like_somebody_elses(call, captured, login, *, refused):
    """A token's person learns nothing from an id: neither of receipt, withdrawal nor renewal."""
    captured.person("u-1")
    captured.person("u-2")
    theirs = captured.grant("u-2", "P07")
    me = call(login.token("u-1"))
    renewal = {"notice": captured.notice("P07"), "evidence": {"mechanism": "tapped_button"}}
    answers = {
        (route, refused(said, 403, "NotRepresented")["detail"])
        for decision in (theirs, new_id("dec"))
        for route, said in (
            ("receipt", me.get(f"/consents/{decision}/receipt")),
            ("withdraw", me.post(f"/consents/{decision}/withdraw")),
            ("renew", me.post(f"/consents/{decision}/renew", renewal)),
        )
    }
    assert len(answers) == 3
    assert len({detail for _, detail in answers}) == 1


def test_key_is_told_that_a_decision_does_not_exist(call, captured, refused):
    """A key of the operator's may know."""
    app = call(captured.machine_key("capture"))
    refused(app.post(f"/consents/{new_id('dec')}/withdraw"), 404, "NotFound")
