"""Session ids: made, and told from the names of channels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webpy_socketio.identifiers import is_private, new_id
from webpy_socketio.wire.dialects import V3, V4

SID = "-_" + "a" * 18


def test_ids_have_the_letters_and_the_length_of_others() -> None:
    ids = [new_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert {len(name) for name in ids} == {20}
    assert all(name.startswith("-_") and name.replace("-", "").replace("_", "").isalnum() for name in ids)


@given(st.text().map(lambda text: "/" + text))
def test_every_id_of_every_generation_is_private(namespace: str) -> None:
    session_id = new_id()
    for dialect in (V3, V4):
        for name in ("/", namespace):
            assert is_private(dialect.socket_id(session_id, name))


@pytest.mark.parametrize("name", [SID, f"/#{SID}", f"/chat#{SID}", f"/a#b#{SID}", f"/a\nb#{SID}"])
def test_private(name: str) -> None:
    assert is_private(name)


@pytest.mark.parametrize(
    "name",
    ["", "room-1", "-_", SID[:-1], SID + "a", f" {SID}", f"{SID}\n", f"chat#{SID}", f"/chat{SID}", f"#{SID}", SID[1:],
     "-_" + "é" * 18, "-_" + "a" * 17 + "."],
)  # fmt: skip
def test_free(name: str) -> None:
    assert not is_private(name)
