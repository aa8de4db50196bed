"""Secrets: only of the folder, only the owner's, and read again when they change."""

import os
from pathlib import Path

import pytest

from services.delivery.secrets import SIZE_LIMIT_BYTES, SecretMissing, Secrets


def _put(path: Path, content: bytes = b"secret\n", mode: int = 0o600) -> Path:
    draft = path.with_name(".draft")
    draft.write_bytes(content)
    draft.chmod(mode)
    draft.rename(path)
    return path


def test_a_secret_is_read_as_it_is_and_its_text_without_the_line_end(tmp_path: Path) -> None:
    _put(tmp_path / "relay", b" p\xc3\xa4ss word \r\n")
    secrets = Secrets(tmp_path)
    assert secrets.read("relay") == b" p\xc3\xa4ss word \r\n"
    assert secrets.text("relay") == " p\u00e4ss word "
    assert secrets.path("relay") == tmp_path / "relay"


def test_a_replaced_secret_counts_at_once(tmp_path: Path) -> None:
    path, secrets = _put(tmp_path / "relay", b"old"), Secrets(tmp_path)
    assert secrets.read("relay") == b"old"
    _put(path, b"new")
    assert secrets.read("relay") == b"new"
    path.unlink()
    with pytest.raises(SecretMissing, match=f"there is no file {path}"):
        secrets.read("relay")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601])
def test_a_secret_that_others_may_read_is_not_used(tmp_path: Path, mode: int) -> None:
    path = _put(tmp_path / "relay", mode=mode)
    for use in (Secrets(tmp_path).read, Secrets(tmp_path).path, Secrets(tmp_path).text):
        with pytest.raises(SecretMissing, match=f"mode {mode:04o} lets others in.*chmod 600 {path}"):
            use("relay")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/passwd", ".hidden", "a/b", "a\0b", "a\n", "x" * 101])
def test_a_name_does_not_lead_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(SecretMissing, match="not the name of a file"):
        Secrets(tmp_path).read(name)


def test_what_is_no_file_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("folder", "pipe"):
        with pytest.raises(SecretMissing, match="is not a file"):
            Secrets(tmp_path).read(name)


@pytest.mark.parametrize(
    "content, why", [(b"", "empty"), (b"\r\n", "empty"), (b"a" * (SIZE_LIMIT_BYTES + 1), "octets")]
)
def test_an_empty_or_huge_file_is_no_secret(tmp_path: Path, content: bytes, why: str) -> None:
    _put(tmp_path / "relay", content)
    with pytest.raises(SecretMissing, match=why):
        Secrets(tmp_path).read("relay")


@pytest.mark.parametrize("content", [b"a\nb\n", b"a\0b", b"\xff\xfe"])
def test_text_is_one_line(tmp_path: Path, content: bytes) -> None:
    _put(tmp_path / "relay", content)
    with pytest.raises(SecretMissing, match="text"):
        Secrets(tmp_path).text("relay")
