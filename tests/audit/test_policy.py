"""Trust policies (c2sp.org/tlog-policy)."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.verifier import VerificationError, VerifierKey
from audit.verifier.notes import COSIGNATURE, ED25519, cosigned_message
from audit.verifier.policy import Policy, PolicyError

TIME = 1_700_000_000


class Party:
    """A log or a witness with its key."""

    def __init__(self, name, algorithm, seed):
        self.secret = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.key = VerifierKey(name, self.secret.public_key().public_bytes_raw(), algorithm)

    def line(self, signed):
        return f"\u2014 {self.key.name} {base64.b64encode(self.key.key_id + signed).decode()}\n"

    def sign(self, text):
        return self.line(self.secret.sign(text.encode()))

    def cosign(self, text, time=TIME):
        return self.line(time.to_bytes(8, "big") + self.secret.sign(cosigned_message(text, time)))


LOG = Party("log.example/audit", ED25519, 1)
W = [Party(f"witness{number}.example", COSIGNATURE, 10 + number) for number in range(5)]
TEXT = f"log.example/audit\n7\n{base64.b64encode(bytes(32)).decode()}\n"
FIVE = "".join(f"witness w{number} {party.key}\n" for number, party in enumerate(W))


def note(*witnesses, log=LOG, text=TEXT):
    return (text + "\n" + log.sign(text) + "".join(party.cosign(text) for party in witnesses)).encode()


def parse(text):
    return Policy.parse(text.encode())


def test_example_of_the_specification_is_parsed():
    """Two levels of groups, comments, blanks and URLs."""
    policy = parse(
        f"# who we trust\n\n \tlog\t {LOG.key} https://log.example\n{FIVE}group X-witnesses 2 w0 w1 w2\n"
        f"group Y-witnesses any w3 w4\n group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    )
    assert [(log.key, log.url) for log in policy.logs] == [(LOG.key, "https://log.example")]
    assert [(witness.name, witness.key) for witness in policy.witnesses] == [
        (f"w{number}", party.key) for number, party in enumerate(W)
    ]
    assert [(group.name, group.threshold) for group in policy.groups] == [
        ("X-witnesses", 2),
        ("Y-witnesses", 1),
        ("X-and-Y", 2),
    ]


@pytest.mark.parametrize(
    ("signers", "is_met"),
    [
        ((0, 1, 3), True),
        ((0, 2, 4), True),
        ((0, 1, 2), False),
        ((0, 3, 4), False),
        ((), False),
        ((0, 1, 2, 3, 4), True),
    ],
)
def test_quorum_over_two_levels(signers, is_met):
    """Two of three of the one house, and one of the other."""
    policy = parse(f"{FIVE}group X 2 w0 w1 w2\ngroup Y any w3 w4\ngroup both all X Y\nquorum both\n")
    signed = note(*(W[number] for number in signers))
    if is_met:
        assert policy.check(signed) == dict.fromkeys((W[number].key for number in signers), TIME)
    else:
        with pytest.raises(VerificationError) as caught:
            policy.check(signed)
        assert caught.value.kind == "quorum"


def test_quorum_of_one_witness_and_none():
    """A witness may be the quorum by itself; ``none`` asks for nobody."""
    assert parse(f"{FIVE}quorum w1\n").check(note(W[1])) == {W[1].key: TIME}
    assert parse("quorum none\n").check(note()) == {}
    with pytest.raises(VerificationError, match="quorum"):
        parse(f"{FIVE}quorum w1\n").check(note(W[0]))


def test_one_witness_counts_once():
    """A second cosignature by one witness does not make a second witness."""
    twice = note(W[0]) + W[0].cosign(TEXT, TIME + 5).encode()
    with pytest.raises(VerificationError) as caught:
        parse(f"{FIVE}group two 2 w0 w1\nquorum two\n").check(twice)
    assert caught.value.kind == "quorum"


def test_bad_cosignature_of_a_known_witness_rejects_and_an_unknown_one_is_ignored():
    """Even where the quorum is met without it."""
    bad = note(W[0]) + W[1].line(TIME.to_bytes(8, "big") + bytes(64)).encode()
    with pytest.raises(VerificationError) as caught:
        parse(f"{FIVE}quorum w0\n").check(bad)
    assert caught.value.kind == "signature"
    assert parse(f"witness w0 {W[0].key}\nquorum w0\n").check(bad) == {W[0].key: TIME}


def test_only_listed_logs_are_believed():
    """A checkpoint by another log, or by another key of that name, is refused."""
    policy = parse(f"log {LOG.key}\nquorum none\n")
    assert policy.check(note()) == {}
    for log in (Party("log.example/audit", ED25519, 2), Party("other.example", ED25519, 1)):
        with pytest.raises(VerificationError) as caught:
            policy.check(note(log=log))
        assert caught.value.kind == "signature"


def test_chain_of_hand_overs_leads_to_a_key_that_is_not_listed():
    """A listed key vouches for the keys of its chain, none for a chain in which no key is listed."""
    following = Party("log.example/audit", ED25519, 2)
    policy = parse(f"log {LOG.key}\nquorum none\n")
    assert policy.check(note(log=following), (LOG.key, following.key)) == {}
    assert policy.believes(following.key, (LOG.key, following.key))
    for vouched in ((), (following.key,), (LOG.key,)):
        assert not policy.believes(following.key, vouched)
        with pytest.raises(VerificationError, match="no log of the policy"):
            policy.check(note(log=following), vouched)
    assert parse("quorum none\n").believes(following.key)


def test_digest_of_who_watches():
    """Order, comments, blanks and the log's own keys do not count; each witness, address, group and quorum does."""
    text = f"witness a {W[0].key} https://a.example\nwitness b {W[1].key}\ngroup g 1 a b\nquorum g\n"
    digest = parse(text).watch_digest()
    first, second, *rest = text.splitlines()
    same = [
        f"log {LOG.key}\n# a comment\n{text}",
        "\n".join([second, first, *rest, ""]),
        text.replace("1 a b", "1 b a").replace(" b", "   b"),
    ]
    assert {parse(one).watch_digest() for one in same} == {digest}
    other = [
        text.replace("a.example", "c.example"),
        text.replace(str(W[1].key), str(W[2].key)),
        text.replace("g 1 a b", "g 2 a b"),
        text.replace("quorum g", "quorum a"),
        text.replace("quorum g", "quorum none"),
        text.replace("witness b", "witness c").replace("a b", "a c"),
    ]
    assert len({digest, *(parse(one).watch_digest() for one in other)}) == len(other) + 1


def test_checkpoint_of_another_origin_is_refused():
    """A log's key signs for its own origin only."""
    with pytest.raises(VerificationError) as caught:
        parse(f"log {LOG.key}\nquorum none\n").check(note(text=TEXT.replace("log.", "lag.")))
    assert caught.value.kind == "checkpoint"


def test_names_are_opaque_bytes():
    """A Kelvin sign is no K, and bytes that are not UTF-8 are a name."""
    data = f"witness K {W[0].key}\nwitness \u212a {W[1].key}\n".encode() + b"witness \xff %s\nquorum \xff\n" % (
        str(W[2].key).encode()
    )
    policy = Policy.parse(data)
    assert [witness.name for witness in policy.witnesses] == ["K", "\u212a", "\udcff"]
    assert policy.check(note(W[2])) == {W[2].key: TIME}


def test_blanks_are_spaces_and_tabs_only():
    """A no-break space is part of a name."""
    assert parse(f"witness a\u00a0b {W[0].key}\nquorum a\u00a0b\n").quorum == "a\u00a0b"


ONE, TWO = f"witness a {W[0].key}\n", f"witness b {W[1].key}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no quorum"),
        ("quorum none\nquorum none\n", "line 2.*one quorum"),
        ("quorum none extra\n", "one quorum"),
        ("quorum a\n" + ONE, "line 1.*not defined"),
        ("witness none " + str(W[0].key) + "\nquorum none\n", "taken"),
        (ONE + f"witness a {W[1].key}\nquorum none\n", "line 2.*taken"),
        (ONE + f"witness b {W[0].key}\nquorum none\n", "already"),
        (ONE + f"witness b {VerifierKey('x', W[0].key.public_key, COSIGNATURE)}\nquorum none\n", "already"),
        (f"log {LOG.key}\nlog {LOG.key}\nquorum none\n", "already"),
        (f"log {W[0].key}\nquorum none\n", "not a log's key"),
        (f"witness a {LOG.key}\nquorum none\n", "not a witness's key"),
        ("log\nquorum none\n", "at most a URL"),
        (f"log {LOG.key} u v\nquorum none\n", "at most a URL"),
        (f"witness a {W[0].key} u v\nquorum none\n", "at most a URL"),
        ("log a+b+c\nquorum none\n", "line 1"),
        (ONE + "group g all\nquorum g\n", "threshold and members"),
        (ONE + "group g all b\nquorum g\n", "not defined"),
        (ONE + "group g all none\nquorum g\n", "not defined"),
        (ONE + "group g all g\nquorum g\n", "not defined"),
        (ONE + "group g all a a\nquorum g\n", "twice"),
        (ONE + "group g all a\ngroup h all a\nquorum h\n", "line 3.*twice"),
        (ONE + "group a all a\nquorum a\n", "taken"),
        (ONE + "group g 0 a\nquorum g\n", "a threshold is"),
        (ONE + "group g 2 a\nquorum g\n", "a threshold is"),
        (ONE + "group g 01 a\nquorum g\n", "a threshold is"),
        (ONE + "group g ALL a\nquorum g\n", "a threshold is"),
        (ONE + "group g \u0661 a\nquorum g\n", "a threshold is"),
        ("trust everyone\nquorum none\n", "line 1.*not one of"),
        ("# \x07\nquorum none\n", "control"),
        ("quorum none\r\n", "control"),
        (f"log {LOG.key}\u2028\nquorum none\n", "printable"),
        ("#" * (1 << 16) + "\nquorum none\n", "larger"),
    ],
)
def test_broken_policy_is_refused(text, problem):
    """With the line that is wrong."""
    with pytest.raises(PolicyError, match=problem):
        parse(text)


@pytest.mark.parametrize("count", [64, 65])
def test_number_of_keys_and_groups_is_bounded(count):
    """Well above the 32 that the specification asks for."""
    parties = [Party(f"w{number}", COSIGNATURE, 100 + number) for number in range(count)]
    keys = "".join(f"witness {party.key.name} {party.key}\n" for party in parties) + "quorum none\n"
    first = f"witness a {parties[0].key}\ngroup g0 all a\n"
    groups = first + "".join(f"group g{n} all g{n - 1}\n" for n in range(1, count)) + f"quorum g{count - 1}\n"
    if count == 64:
        assert len(parse(keys).witnesses) == count
        assert parse(groups).is_met({parties[0].key: TIME})
    else:
        for text in (keys, groups):
            with pytest.raises(PolicyError, match="more than 64"):
                parse(text)
