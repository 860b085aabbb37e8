"""What tells a snapshot from those of other databases."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valet_studio.migrate.snapshot_files import digest_of


@given(
    st.integers(0, 40),
    st.integers(0, 10_000_000),
    st.sampled_from([1, 3_000, 3_000_000, 9_000_000]),
)
@settings(max_examples=30)
def test_a_snapshot_is_told_by_all_of_a_small_file_and_the_size_of_any(
    tmp_path_factory: pytest.TempPathFactory, longer: int, place: int, size: int
) -> None:
    path = tmp_path_factory.mktemp("digest") / "a.db"
    text = bytearray(size)
    path.write_bytes(text)
    digest = digest_of(path)
    assert digest_of(path) == digest
    path.write_bytes(text + bytes(longer))
    assert (digest_of(path) == digest) == (not longer)
    text[place % (size if size < 4 << 20 else 4096)] = 1
    path.write_bytes(text)
    assert digest_of(path) != digest
