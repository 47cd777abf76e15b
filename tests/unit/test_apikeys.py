"""API keys: shown once, stored as a digest, told apart from everything that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.security import apikeys


def test_a_new_key_opens_with_its_own_secret_and_with_no_other() -> None:
    keys = [apikeys.generate() for _ in range(200)]
    for key, other in zip(keys, [*keys[1:], keys[0]], strict=True):
        prefix, secret = apikeys.split(key.token) or ("", "")
        assert prefix == key.prefix
        assert apikeys.matches(secret, key.secret_sha256)
        assert not apikeys.matches(secret, other.secret_sha256)


def test_a_stored_key_does_not_hold_its_secret() -> None:
    key = apikeys.generate()
    _, secret = apikeys.split(key.token) or ("", "")
    assert len(secret) >= 43  # 256 bits in base64
    assert secret.encode() not in key.secret_sha256
    assert secret not in key.prefix


def test_a_secret_may_contain_the_separator() -> None:
    assert apikeys.split("rk_abc_d_e_f") == ("abc", "d_e_f")


@pytest.mark.parametrize(
    "token", ["", "rk", "rk_", "rk_a", "rk_a_", "rk__b", "sk_a_b", "RK_a_b", " rk_a_b", "rk_a\0_b", "rk_ä_b", "rk_a b_c"]
)
def test_what_has_not_the_form_of_a_key_is_none(token: str) -> None:
    assert apikeys.split(token) is None


@given(st.text())
def test_no_token_breaks_the_parser_and_a_prefix_is_always_safe_to_look_up(token: str) -> None:
    parts = apikeys.split(token)
    assert parts is None or (parts[0].isascii() and parts[0].isalnum())
    parts = apikeys.split("rk_" + token)
    assert parts is None or (parts[0].isascii() and parts[0].isalnum())
