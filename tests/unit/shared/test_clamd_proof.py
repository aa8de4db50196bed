"""The files that prove what a clamd reports are small, harmless, and what they claim to be."""

import gzip
import io
import zipfile

from shared.clamd_proof import proofs


def test_one_has_more_layers_than_any_clamd_unpacks() -> None:
    data, layers = proofs()["AlertExceedsMax"], 0
    assert len(data) < 4000
    while data.startswith(b"\x1f\x8b"):
        data, layers = gzip.decompress(data), layers + 1
    assert layers > 100


def test_one_is_an_archive_that_is_marked_as_locked() -> None:
    archive = zipfile.ZipFile(io.BytesIO(proofs()["AlertEncryptedArchive"]))
    [entry] = archive.infolist()
    assert entry.flag_bits & 1
