"""Every flipped bit is found, and honest logs never raise an alarm."""

import os
import random
import shutil

import pytest

from audit.verifier import VerificationError, verify_export

NIGHTLY = bool(os.environ.get("CONSENTRY_NIGHTLY"))
FLIPS = 400
RUNS = 10_000 if NIGHTLY else 500


def targets(folder):
    """Name every byte of the bundles, of the checkpoint's text and of the known signature under it."""
    bundles = sorted(path for path in (folder / "tile/entries").rglob("*") if path.is_file())
    found = [(path, place) for path in bundles for place in range(path.stat().st_size)]
    checkpoint = folder / "checkpoint"
    return found + [(checkpoint, place) for place in range(checkpoint.stat().st_size)]


def test_flipped_bit_in_a_log_of_1_000_entries_is_found(make, tmp_path):
    """Sampled with a fixed seed; every byte at night. The entry that holds the byte is the one that is named."""
    log = make(1_000, 300, 512, 900)
    folder, random_bits = log.write(tmp_path / "export"), random.Random(20_261_129)
    everything = targets(folder)
    checkpoint = folder / "checkpoint"
    missed = []
    for path, place in everything if NIGHTLY else random_bits.sample(everything, FLIPS):
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[place] ^= 1 << random_bits.randrange(8)
        path.write_bytes(damaged)
        try:
            verify_export(folder, log.signer.key)
            missed.append((path.name, place))
        except VerificationError as failure:
            if path != checkpoint and failure.index != place_of(folder, path, whole, place):
                missed.append((path.name, place, failure.index))
        path.write_bytes(whole)
    assert missed == []


def place_of(folder, path, bundle, place):
    """Return the index of the entry in which a byte of a bundle lies, its length counted to it."""
    index, position = int(str(path.relative_to(folder / "tile/entries"))[:3]) * 256, 0
    while (end := position + 2 + int.from_bytes(bundle[position : position + 2], "big")) <= place:
        index, position = index + 1, end
    return index


def test_flipped_bit_in_the_checkpoint_is_found_at_every_byte(make, tmp_path):
    """Text and signature, each bit of them."""
    log = make(10)
    folder = log.write(tmp_path / "export")
    checkpoint = folder / "checkpoint"
    whole = checkpoint.read_bytes()
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            checkpoint.write_bytes(damaged)
            with pytest.raises(VerificationError):
                verify_export(folder, log.signer.key)


def test_honest_logs_raise_no_alarm(make, tmp_path):
    """Any size, partial tiles, checkpoints at any sizes, kept ones among them."""
    chance = random.Random(7)
    for _ in range(RUNS):
        size = chance.choice((chance.randrange(12), chance.randrange(40), chance.choice((255, 256, 257, 300, 513))))
        if size > 200 and chance.random() < 0.9:
            size //= 20
        log = make(size, *sorted(chance.sample(range(size), min(size, chance.randrange(4)))))
        folder = log.write(tmp_path / "export")
        kept = [log.checkpoint(chance.randrange(size + 1)) for _ in range(chance.randrange(3))]
        assert verify_export(folder, log.signer.key, kept, check_entries=True).size == size
        shutil.rmtree(folder)
