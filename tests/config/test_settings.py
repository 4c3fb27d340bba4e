"""Settings: sources and their order, validation, frozen copies, explanations."""

from __future__ import annotations

import copy
import logging
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from ragtime.config.sections import EmbeddingSettings, LLMSettings
from ragtime.config.settings import Settings, get_settings, reload_settings
from ragtime.config.sources import environment_name, field_names
from ragtime.errors import ConfigurationError, InvalidArgumentError


def test_every_section_is_there() -> None:
    sections = {"embedding", "llm", "conversation", "templates", "training_data", "finetuning", "learning", "conport"}
    assert set(Settings.model_fields) == sections | {"data_dir", "logging", "seed"}


def test_every_field_is_described() -> None:
    from ragtime.config.reference import _field

    assert all(_field(Settings, name).description for name in field_names(Settings))


# --- sources and their order ----------------------------------------------------------------------------------------


def test_an_environment_variable_sets_a_nested_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_EMBEDDING__MODEL_NAME", "some-model")
    assert Settings().embedding.model_name == "some-model"


def test_a_variable_may_be_written_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ragtime_seed", "7")
    assert Settings().explain("seed").source == "environment variable ragtime_seed"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_EMBEDDING__MODEL_NAME", "")
    assert Settings().embedding.model_name == "all-MiniLM-L6-v2"


def test_a_section_may_be_one_json_variable_and_single_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_EMBEDDING", '{"model_name": "a", "batch_size": 3}')
    monkeypatch.setenv("RAGTIME_EMBEDDING__BATCH_SIZE", "4")
    embedding = Settings().embedding
    assert (embedding.model_name, embedding.batch_size) == ("a", 4)
    assert Settings().explain("embedding.model_name").source == "environment variable RAGTIME_EMBEDDING"


def test_the_order_of_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Argument, environment, dotenv file, ragtime.toml, pyproject.toml, default: each one removed uncovers the next."""
    (tmp_path / "pyproject.toml").write_text("[tool.ragtime]\nseed = 1\n")
    (tmp_path / "ragtime.toml").write_text("seed = 2\n")
    (tmp_path / "my.env").write_text("RAGTIME_SEED=3\n")
    monkeypatch.setenv("RAGTIME_ENV_FILE", str(tmp_path / "my.env"))
    monkeypatch.setenv("RAGTIME_SEED", "4")
    explanation = Settings(seed=5).explain("seed")
    assert explanation.value == 5
    assert [int(str(value)) for value, _ in explanation.beaten] == [4, 3, 2, 1, 42]
    assert Settings().seed == 4
    monkeypatch.delenv("RAGTIME_SEED")
    assert Settings().seed == 3
    monkeypatch.delenv("RAGTIME_ENV_FILE")
    assert Settings().seed == 2
    (tmp_path / "ragtime.toml").unlink()
    assert Settings().seed == 1
    (tmp_path / "pyproject.toml").unlink()
    assert Settings().seed == 42


def test_sources_are_merged_field_by_field(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ragtime.toml").write_text('[embedding]\nmodel_name = "from-file"\nbatch_size = 2\n')
    monkeypatch.setenv("RAGTIME_EMBEDDING__BATCH_SIZE", "4")
    embedding = Settings(embedding={"dtype": "float32"}).embedding
    assert (embedding.model_name, embedding.batch_size, embedding.dtype) == ("from-file", 4, "float32")


def test_a_dotenv_file_is_read_only_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        'export RAGTIME_SEED=3\nSEED=9\nEMBEDDING=9\n\n# comment\nRAGTIME_LLM__MODEL_NAME="m"\n'
    )
    assert Settings().seed == 42
    asked = Settings(_env_file=tmp_path / ".env")
    assert (asked.seed, asked.llm.model_name) == (3, "m")
    assert asked.explain("seed").kind == "dotenv"


def test_another_configuration_file_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ragtime.toml").write_text("seed = 1\n")
    (tmp_path / "other.toml").write_text("seed = 2\n")
    monkeypatch.setenv("RAGTIME_CONFIG_FILE", str(tmp_path / "other.toml"))
    assert Settings().seed == 2


def test_isolated_settings_read_no_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ragtime.toml").write_text("seed = 1\n")
    monkeypatch.setenv("RAGTIME_SEED", "2")
    assert Settings.isolated().seed == 42
    assert Settings.isolated(seed=3, embedding__batch_size=1).embedding.batch_size == 1


def test_arguments_may_be_sections_partial_sections_or_single_fields() -> None:
    whole = Settings(embedding=EmbeddingSettings(batch_size=3))
    partial = Settings(embedding={"batch_size": 3})
    single = Settings(embedding__batch_size=3)
    assert whole == partial == single
    assert single.explain("embedding.model_name").kind == "default"
    assert whole.explain("embedding.model_name").kind == "argument"  # a finished section is taken whole


def test_a_finished_section_wins_whole_over_weaker_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_LLM__TEMPERATURE", "1.5")
    assert Settings(llm=LLMSettings()).llm.temperature == 0.3
    changed = Settings.isolated(llm__temperature=1.0)
    assert changed.replace(llm=LLMSettings()).llm == LLMSettings()


def test_what_the_caller_does_with_its_arguments_later_does_not_matter() -> None:
    section = {"batch_size": 8}
    current = Settings.isolated(embedding=section)
    section["batch_size"] = 9
    assert current.replace(seed=1).embedding.batch_size == 8


def test_a_pyproject_without_our_table_is_fine(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert Settings() == Settings.isolated()


@given(st.fixed_dictionaries({"seed": st.integers(0, 2**32 - 1), "embedding__batch_size": st.integers(1, 10**6)}))
def test_what_goes_in_by_the_environment_comes_out(values: dict[str, int]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in values.items():
            monkeypatch.setenv(f"RAGTIME_{name.upper()}", str(value))
        found = Settings()
    assert {"seed": found.seed, "embedding__batch_size": found.embedding.batch_size} == values


# --- what is wrong is told ------------------------------------------------------------------------------------------


def test_a_wrong_value_names_field_source_and_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_LOGGING__FORMAT", "xml")
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    assert str(caught.value) == (
        "Wrong setting: logging.format (environment variable RAGTIME_LOGGING__FORMAT): "
        "Input should be 'console' or 'json'; found 'xml'"
    )
    assert caught.value.problems[0].name == "logging.format"
    assert isinstance(caught.value, ValueError)


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAGTIME_SEED", "many")
    (tmp_path / "ragtime.toml").write_text("[embedding]\nbatchsize = 2\n[finetunning]\n")
    with pytest.raises(ConfigurationError) as caught:
        Settings(embedding__batch_size=0)
    told = str(caught.value)
    assert [problem.name for problem in caught.value.problems] == [
        "embedding.batchsize",
        "finetunning",
        "seed",
        "embedding.batch_size",
    ]
    assert "did you mean 'finetuning'?" in told
    assert "did you mean 'batch_size'?" in told
    assert str(tmp_path / "ragtime.toml") in told
    assert "embedding.batch_size (argument): Input should be greater than or equal to 1; found 0" in told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding": 3}, "must be a section, or a mapping of its fields"),
        ({"embedding": LLMSettings()}, "must be a section, or a mapping of its fields"),
        ({"embedding__model_name": "  "}, "must not be blank"),
        ({"embedding__device": "tpu"}, "String should match pattern"),
        ({"llm__base_url": "localhost:11434"}, "absolute http:// or https:// address"),
        ({"llm__base_url": "http://[::1"}, "is not an address"),
        ({"llm__base_url": "http://host:port/v1"}, "is not an address"),
        ({"llm__base_url": "http://ho st/v1"}, "absolute http:// or https:// address"),
        ({"llm__base_url": "http://h/v1?key=x"}, "must not hold a user name, a password or a query"),
        ({"llm__api_key": " "}, "must be one line of ASCII, and not blank"),
        ({"llm__api_key": "**********"}, "is the mask of a key"),
        ({"llm__timeout_seconds": float("inf")}, "finite number"),
        ({"training_data__negative_rating": 5}, "negative_rating must be below positive_rating"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"sed": 1}, "no such setting; did you mean 'seed'?"),
        ({"embedding__batch_size__x": 1}, "no such setting"),
    ],
)
def test_wrong_arguments(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message.replace("?", r"\?").replace("(", r"\(")):
        Settings.isolated(**changes)


def test_a_long_value_is_told_in_short() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.isolated(seed="x" * 10_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["{", "nonsense", '{"a": 1', "null", "[1]", "[" * 100_000])
def test_broken_json_in_a_variable_of_a_section(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("RAGTIME_LLM", text)
    with pytest.raises(ConfigurationError, match=r"llm \(environment variable RAGTIME_LLM\): must be a JSON object"):
        Settings()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"seed = = 3\n", r"is not valid TOML \(at line 1, column 8\)"),
        (b"seed = '\xff'\n", "is not UTF-8"),
        (b"seed = " + b"1" * 5000, "too long"),
        (b"a = " + b"[" * 100_000, "nested too deeply"),
        (b"llm = 'x'\n", "must be a table"),
    ],
)
def test_a_broken_configuration_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "ragtime.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as caught:
        Settings()
    assert str(tmp_path / "ragtime.toml") in str(caught.value)


def test_a_table_of_another_shape(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nragtime = 3\n")
    with pytest.raises(ConfigurationError, match="must be a table"):
        Settings()


@pytest.mark.parametrize("variable", ["RAGTIME_ENV_FILE", "RAGTIME_CONFIG_FILE"])
def test_a_file_that_was_asked_for_must_be_there(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "/nowhere/at.all")
    with pytest.raises(ConfigurationError, match=r"/nowhere/at\.all.*cannot be read: No such file"):
        Settings()


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("RAGTIME_EMBEDDING_MODEL_NAME", "RAGTIME_EMBEDDING__MODEL_NAME"),
        ("RAGTIME_SED", "RAGTIME_SEED"),
        ("ragtime_embedding__modelname", "RAGTIME_EMBEDDING__MODEL_NAME"),
        ("RAGTIME_EMBEDDING__BATCH_SIZE__X", "RAGTIME_EMBEDDING__BATCH_SIZE"),
    ],
)
def test_an_unknown_variable_is_ignored_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, nearest: str
) -> None:
    monkeypatch.setenv(variable, "canary-value")
    assert Settings() == Settings.isolated()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.name.startswith("ragtime.")
    assert f"Unknown environment variable {variable} is ignored; did you mean '{nearest}'?" in record.getMessage()
    assert "canary-value" not in record.getMessage()


def test_an_unknown_variable_in_a_dotenv_file_is_ignored_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "my.env").write_text("RAGTIME_SED=1\nOTHER=2\n")
    assert Settings(_env_file=tmp_path / "my.env") == Settings.isolated()
    assert "variable RAGTIME_SED is ignored; did you mean 'RAGTIME_SEED'?" in caplog.text
    assert "OTHER" not in caplog.text


def test_a_broken_line_of_a_dotenv_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "my.env").write_text('RAGTIME_SEED=1\nRAGTIME_LLM__API_KEY="sk-abc\nRAGTIME_SEED: 4\n')
    with pytest.raises(ConfigurationError, match=r"my\.env: line \d is no assignment") as caught:
        Settings(_env_file=tmp_path / "my.env")
    assert "sk-abc" not in str(caught.value)


def test_a_key_in_a_dotenv_file_is_taken_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "my.env").write_text("RAGTIME_LLM__API_KEY='pa${HOME}ss$x'\nRAGTIME_CONFIG_FILE=x\n")
    key = Settings(_env_file=tmp_path / "my.env").llm.api_key
    assert key is not None
    assert key.get_secret_value() == "pa${HOME}ss$x"


def test_a_configuration_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "ragtime.toml").write_bytes(b"\xef\xbb\xbfseed = 7\n")
    assert Settings().seed == 7


@pytest.mark.parametrize(
    "variable", ["RAGTIME_ENV_FILE", "ragtime_env_file", "RAGTIME_CONFIG_FILE", "ragtime_config_file"]
)
def test_a_home_that_is_not_there(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "~no-such-user/x")
    with pytest.raises(ConfigurationError, match="cannot be found"):
        Settings()


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    relative = Settings.isolated()
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(ConfigurationError, match="the working directory: cannot be read"):
        Settings()
    with pytest.raises(ConfigurationError, match=r"data_dir = '.ragtime' cannot be found"):
        relative.data_path()
    with pytest.raises(ConfigurationError, match="cannot be found"):
        Settings.isolated(data_dir="~no-such-user/x").data_path()
    monkeypatch.chdir(tmp_path)


def test_a_rule_about_two_fields_names_both_with_their_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ragtime.toml").write_text("[training_data]\nnegative_rating = 5\n")
    monkeypatch.setenv("RAGTIME_TRAINING_DATA__WORKERS", "2")
    with pytest.raises(ConfigurationError) as caught:
        Settings()
    told = str(caught.value)
    assert "training_data.positive_rating = 4.0" in told
    assert "training_data.negative_rating = 5" in told
    assert str(tmp_path / "ragtime.toml") in told
    assert "RAGTIME_TRAINING_DATA" not in told


def test_an_empty_variable_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_EMBEDDING", '{"batch_size": 8}')
    monkeypatch.setenv("RAGTIME_EMBEDDING__BATCH_SIZE", "")
    assert Settings().explain("embedding.batch_size").source == "environment variable RAGTIME_EMBEDDING"


def test_pydantics_own_constructors_behave_like_ours() -> None:
    assert Settings.model_validate({"seed": 7}).seed == 7
    assert Settings.model_validate_json('{"seed": 7}').seed == 7
    current = Settings.isolated(seed=7)
    assert Settings.model_validate(current) is current
    for wrong in ("{", "[]", '{"seed": "x"}'):
        with pytest.raises(ConfigurationError):
            Settings.model_validate_json(wrong)


# --- the object -----------------------------------------------------------------------------------------------------


def test_settings_are_frozen() -> None:
    current = Settings.isolated()
    with pytest.raises(ConfigurationError, match=r"frozen; make a changed copy with settings\.replace\(seed="):
        current.seed = 1  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        current.embedding.batch_size = 1  # type: ignore[misc]


def test_replace_makes_a_validated_copy() -> None:
    current = Settings.isolated(seed=1, embedding__batch_size=8)
    changed = current.replace(embedding__model_name="m")
    assert (changed.seed, changed.embedding.batch_size, changed.embedding.model_name) == (1, 8, "m")
    assert changed.explain("embedding.model_name").kind == "override"
    assert current.embedding.model_name == "all-MiniLM-L6-v2"
    assert current.model_copy(update={"seed": 2}).seed == 2
    assert current.model_copy() == current
    with pytest.raises(ConfigurationError):
        current.replace(seed="x")
    with pytest.raises(ConfigurationError):
        current.model_copy(update={"seed": "x"})


def test_equal_values_are_equal_settings_whatever_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_SEED", "7")
    assert Settings() == Settings.isolated(seed=7)
    assert hash(Settings()) == hash(Settings.isolated(seed=7))
    assert Settings() != Settings.isolated(seed=8)
    assert Settings() != "settings"


def test_settings_survive_copying_and_pickling() -> None:
    current = Settings.isolated(seed=3, llm__api_key="k", data_dir="x")
    assert pickle.loads(pickle.dumps(current)) == copy.deepcopy(current) == copy.copy(current) == current


def test_data_paths_follow_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    relative = Settings.isolated()
    assert relative.data_path("cache", "x.db") == tmp_path / ".ragtime" / "cache" / "x.db"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert relative.data_path() == tmp_path / "elsewhere" / ".ragtime"
    assert Settings.isolated(data_dir="/data").data_path("x") == Path("/data/x")
    assert Settings.isolated(data_dir="~/data").data_path() == Path.home() / "data"


def test_a_level_may_be_written_in_small_letters() -> None:
    assert Settings.isolated(logging__level="debug").logging.level == "DEBUG"


# --- explanations ---------------------------------------------------------------------------------------------------


def test_explain_says_which_source_won_and_what_it_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGTIME_EMBEDDING__MODEL_NAME", "some-model")
    explanation = Settings().explain("embedding.model_name")
    assert (explanation.value, explanation.kind) == ("some-model", "environment")
    assert str(explanation) == (
        "embedding.model_name = 'some-model' (environment variable RAGTIME_EMBEDDING__MODEL_NAME), "
        "over 'all-MiniLM-L6-v2' (default)"
    )
    assert str(Settings().explain("data_dir")) == "data_dir = '.ragtime' (default)"


def test_explain_all_covers_every_field() -> None:
    assert [explanation.name for explanation in Settings().explain_all()] == list(field_names(Settings))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("embedding.modelname", "did you mean 'embedding.model_name'?"),
        ("logging", "its fields are logging.level"),
        ("", "no field ''"),
    ],
)
def test_explain_of_an_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Settings.isolated().explain(name)
    assert hint in str(caught.value)


def test_names_of_variables() -> None:
    assert environment_name("embedding.model_name") == "RAGTIME_EMBEDDING__MODEL_NAME"


# --- the current settings -------------------------------------------------------------------------------------------


def test_current_settings_are_read_once_and_again_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    first = get_settings()
    monkeypatch.setenv("RAGTIME_SEED", "7")
    assert get_settings() is first
    assert reload_settings().seed == 7
    assert get_settings().seed == 7


def test_a_failed_reload_keeps_the_former_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    former = get_settings()
    monkeypatch.setenv("RAGTIME_SEED", "x")
    with pytest.raises(ConfigurationError):
        reload_settings()
    assert get_settings() is former


def test_sections_alone_do_not_tell_what_they_were_given() -> None:
    with pytest.raises(ValidationError) as caught:
        EmbeddingSettings(api_key=123456789, base_url="http://u:p@h")  # type: ignore[arg-type]
    assert "123456789" not in str(caught.value)
    assert "u:p" not in str(caught.value)
    assert isinstance(EmbeddingSettings(api_key="k").api_key, SecretStr)  # type: ignore[arg-type]
