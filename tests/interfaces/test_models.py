"""Whether a model can be asked is said in words, in either language, without a word to its endpoint."""

import pytest

from secondshift.interfaces.messages.catalogue import tell
from secondshift.interfaces.readmodel.models import askable
from secondshift.records.studies import Model

MODEL = Model(provider="openai", name="small", key_env="MY_MODEL_KEY")


def test_a_study_without_a_model_hears_nothing_of_it() -> None:
    assert askable(Model()) == []


@pytest.mark.parametrize(("lang", "key", "package"), [
    ("en", "the variable MY_MODEL_KEY", "pip install 'secondshift[models]'"),
    ("ko", "환경 변수 MY_MODEL_KEY", "pip install 'secondshift[models]'"),
])  # fmt: skip
def test_a_missing_key_and_a_missing_package_are_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, lang: str, key: str, package: str
) -> None:
    monkeypatch.delenv("MY_MODEL_KEY", raising=False)
    monkeypatch.setattr("secondshift.runtime.agents.orders.find_spec", lambda name: None)
    said = [tell(one, lang) for one in askable(MODEL)]
    assert len(said) == 2 and package in said[0] and key in said[1] and all("openai:small" in one for one in said)
    monkeypatch.setenv("MY_MODEL_KEY", "sk-hush-hush-0123456789")
    monkeypatch.setattr("secondshift.runtime.agents.orders.find_spec", lambda name: object())
    (ready,) = [tell(one, lang) for one in askable(MODEL)]
    assert "openai:small" in ready and "hush" not in ready
