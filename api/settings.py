"""Settings: flags, then the environment (`PHASELINE_*`), then a TOML file, then the defaults.

An unknown key in any of them is an error, because a misspelt limit that silently keeps its default is worse
than no start. An empty environment variable counts as not set, as Compose files write it.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote, quote_plus, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from api.plugins import NAME, NAMED, Kind, names
from statemachine.redaction import redactor

PREFIX: Final = "PHASELINE_"
DEFAULT_CONFIG: Final = Path("phaseline.toml")
LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1", "[::1]", "testserver")
YEAR_S: Final = 366 * 24 * 3600
MAX_PORT: Final = 65_535
SHARED: Final = frozenset(
    {
        "reddit_client_id",
        "reddit_client_secret",
        "reddit_user_agent",
        "schwab_client_id",
        "schwab_client_secret",
        "schwab_callback_url",
    }
)
"""What is read without the prefix too, as other tools of Reddit and Schwab do."""


class SettingsError(ValueError):
    """A setting can't be used; each line of the message is one sentence that names it and its place."""


def instant(value: object) -> object:
    """Return the ISO 8601 instant that `value` writes, in UTC; `None` for `now` and for nothing."""
    if value is None or (isinstance(value, str) and value in {"", "now"}):
        return None
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(at, datetime) and at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter where UTC would be in the year 0 or 10000
        pass
    raise ValueError("say an ISO 8601 instant with its zone, such as 2020-12-01T18:00:00Z, or now")


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _without_password(url: str) -> str:
    if "@" in urlsplit(url).netloc:
        raise ValueError("addresses are shown, so say no user or password in one")
    return url


def _one_of(kind: Kind, ours: str, said: str) -> AfterValidator:
    """Take one of ours, a pattern, or what a plug-in offers; the sentence lists both."""

    def check(value: str) -> str:
        if re.fullmatch(ours, value):
            return value
        offered = names(kind)
        if value.partition(":")[0] in offered:
            return value
        plugged = f" or, by plug-ins, {', '.join(offered)}" if offered else ""
        raise ValueError(f"there is {said}{plugged}, and nothing of that name")

    return AfterValidator(check)


_PHASES: Final = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*"
_SOURCES: Final = r"sample|reddit|archive:[^,\x00-\x1f]+(,[^,\x00-\x1f]+)*"
_PRICES: Final = r"sample|yfinance|schwab|csv:[^\x00-\x1f]+"
_ANALYZERS: Final = "lexicon|llm"
Seconds = Annotated[float, Field(gt=0, le=YEAR_S, allow_inf_nan=False)]
Grace = Annotated[float, Field(ge=0, le=YEAR_S, allow_inf_nan=False)]
PhasesName = Annotated[
    str,
    StringConstraints(pattern=rf"^({_PHASES}|{NAME})$", max_length=4096),
    _one_of("phases", _PHASES, "module:attribute"),
]
Subreddit = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{2,21}$")]
SourceName = Annotated[
    str,
    StringConstraints(pattern=rf"^({_SOURCES}|{NAMED})$", max_length=4096),
    _one_of("sources", _SOURCES, "sample, archive:PATH[,PATH...] and reddit"),
]
PricesName = Annotated[
    str,
    StringConstraints(pattern=rf"^({_PRICES}|{NAMED})$", max_length=4096),
    _one_of("prices", _PRICES, "sample, csv:PATH, yfinance and schwab"),
]
OptionsName = Annotated[
    str,
    StringConstraints(
        pattern=r"^(none|sample|schwab|csv:[^,\x00-\x1f]+(,[^,\x00-\x1f]+)*)$", max_length=4096
    ),
]
AnalyzerName = Annotated[
    str,
    StringConstraints(pattern=rf"^({_ANALYZERS}|{NAMED})$", max_length=4096),
    _one_of("analyzers", _ANALYZERS, "lexicon and llm"),
]
Price = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Printable = Annotated[str, StringConstraints(pattern=r"^[ -~]+$", min_length=7, max_length=500)]
Url = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[^\s/]\S*$", max_length=2048),
    AfterValidator(_without_password),
]


class Settings(BaseSettings):
    """Every setting, checked. The environment has each one as `PHASELINE_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, validate_default=False)

    db: Path = Field(Path("data/phaseline.db"), description="the SQLite file")
    phases: PhasesName = Field(
        "phases:PHASES",
        description="module:attribute of the list of phases to run, or a plug-in's name",
    )
    soft_limit_s: Seconds = Field(1800, description="seconds of active time until a warning")
    hard_limit_s: Seconds = Field(3600, description="seconds of active time until the run fails")
    abandon_after_s: Grace = Field(900, description="seconds of grace for a stuck phase; 0 = for ever")
    stop_grace_s: Grace = Field(
        60, description="seconds until a phase that reaches no check point is cut off at a stop; 0 = never"
    )
    max_active_runs: int = Field(1, ge=1, le=1000, description="runs that may be active at once")
    recovery: Literal["resume", "fail"] = Field("resume", description="what becomes of a dead process's runs")
    max_attempts: int = Field(3, ge=0, le=1000, description="further times a phase is entered after crashes")
    shutdown: Literal["finish", "checkpoint"] = Field("finish", description="what a signal waits for")
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:_-]+$", max_length=255)] = Field(
        "127.0.0.1", description="address to listen on; beyond loopback only with a token"
    )
    port: int = Field(8000, ge=0, le=MAX_PORT, description="port to listen on; 0 = any free one")
    token: Secret | None = Field(None, description="what every request has to bring as its bearer token")
    source: SourceName = Field(
        "sample", description="sample, archive:PATH[,PATH...], reddit or a plug-in's name[:ARGUMENT]"
    )
    subreddit: Subreddit = Field(
        "wallstreetbets", description="the subreddit to read: 2 to 21 letters, digits, _"
    )
    analyzer: AnalyzerName = Field(
        "lexicon", description="lexicon (embedded, offline), llm or a plug-in's name[:ARGUMENT]"
    )
    llm_base_url: Url | None = Field(None, description="address of any OpenAI-compatible server")
    llm_model: Word | None = Field(None, description="the model to ask")
    llm_api_key: Secret | None = Field(None, description="the key for that server")
    llm_max_cost_usd: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = Field(
        None, description="US dollars that one run may spend"
    )
    llm_input_usd_per_mtok: Price | None = Field(
        None, description="the model's price of a million input tokens, in US dollars"
    )
    llm_output_usd_per_mtok: Price | None = Field(
        None, description="the same for output tokens, thoughts included"
    )
    llm_max_output_tokens: int = Field(
        500, ge=100, le=100_000, description="tokens of an answer at most; models that think need thousands"
    )
    llm_timeout_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = Field(
        60, description="seconds that one request to the model may take in all"
    )
    allowed_hosts: Annotated[tuple[Word, ...], BeforeValidator(_split)] = Field(
        LOOPBACK_HOSTS, min_length=1, description="Host names to answer to, with any port unless one is said"
    )
    prices: PricesName = Field(
        "sample", description="sample, csv:PATH, yfinance, schwab or a plug-in's name[:ARGUMENT]"
    )
    options: OptionsName | None = Field(
        None, description="none, sample, csv:PATH[,PATH...] or schwab; by default the sample's own, else none"
    )
    executor: Literal["threads", "processes"] = Field("processes", description="where ctx.map runs pure work")
    as_of: Annotated[datetime | None, BeforeValidator(instant)] = Field(
        None, description="the instant that runs pretend it is; nothing later is read"
    )
    reddit_client_id: Word | None = Field(None, description="Reddit's id of this application")
    reddit_client_secret: Secret | None = Field(None, description="its secret")
    reddit_user_agent: Printable | None = Field(
        None, description="how it names itself to Reddit, on one line of ASCII"
    )
    reddit_login_url: Url = Field("https://www.reddit.com", description="where Reddit gives out tokens")
    reddit_api_url: Url = Field("https://oauth.reddit.com", description="where Reddit answers")
    schwab_client_id: Word | None = Field(None, description="Schwab's app key of this application")
    schwab_client_secret: Secret | None = Field(None, description="its secret")
    schwab_callback_url: Url = Field(
        "https://127.0.0.1:8182", description="the callback address that the application was registered with"
    )
    log_format: Literal["plain", "json"] = Field("plain", description="one line of text or of JSON a record")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="the least to log")
    traces: Url | None = Field(
        None, description="where an OTLP/HTTP collector takes traces, such as http://127.0.0.1:4318"
    )
    config: Path | None = Field(None, description="the TOML file; by default phaseline.toml where present")

    @field_validator("*", mode="before")
    @classmethod
    def _no_booleans(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("no setting is a boolean")  # noqa: TRY004  # pydantic collects ValueError only
        return value

    @field_validator("token")
    @classmethod
    def _fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch(r"[!-~]+", token.get_secret_value()):
            raise ValueError("a token is printable ASCII without spaces, so that it fits a header")
        return token

    @field_validator("reddit_login_url", "reddit_api_url")
    @classmethod
    def _is_private(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise ValueError("the application's secret is sent there, so it must begin with https://")
        return url.rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the hook's signature is given
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the flags, the environment and the TOML file, in this order."""
        return init_settings, Environment(settings_cls), TomlFile(settings_cls)

    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, also as addresses, `repr` and JSON spell it, for redaction."""
        values = (getattr(self, name) for name in type(self).model_fields)
        secrets = (value.get_secret_value() for value in values if isinstance(value, SecretStr))
        return tuple(spelling for secret in secrets for spelling in spellings(secret))

    def require_safe_bind(self) -> None:
        """Raise `SettingsError` where the server would be open to other machines without a token."""
        if not is_loopback(self.host) and self.token is None:
            raise SettingsError(
                f"HOST is {self.host}, which other machines can reach, but TOKEN is not set: "
                "set PHASELINE_TOKEN, or listen on 127.0.0.1"
            )


def spellings(secret: str) -> tuple[str, ...]:
    """Return a secret in every form in which the text of an error may hold it.

    >>> spellings("a b/c")
    ('a b/c', 'a%20b/c', 'a%20b%2Fc', 'a+b%2Fc')
    """
    forms = (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    return tuple(dict.fromkeys((*forms, repr(secret)[1:-1], json.dumps(secret)[1:-1])))


def secrets_around() -> tuple[str, ...]:
    """Return the secrets that the environment names, for errors that come before there are settings."""
    fields = Settings.model_fields.items()
    names = (name for name, field in fields if "SecretStr" in str(field.annotation))
    values = (os.environ.get(variable) for name in names for variable in variables(name))
    return tuple(spelling for value in values if value for spelling in spellings(value))


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach `host`. A name other than `localhost` counts as no."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def variables(name: str) -> tuple[str, ...]:
    """Return the environment variables that set `name`, the stronger one first.

    >>> variables("reddit_client_id")
    ('PHASELINE_REDDIT_CLIENT_ID', 'REDDIT_CLIENT_ID')
    """
    own = PREFIX + name.upper()
    return (own, name.upper()) if name in SHARED else (own,)


class Environment(PydanticBaseSettingsSource):
    """The `PHASELINE_*` variables."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  # given
        """Look one setting up."""
        return _environment().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values that are set, by setting."""
        return _environment()


class TomlFile(Environment):
    """The TOML file that the setting `config` names, or `./phaseline.toml` where there is one."""

    def __call__(self) -> dict[str, Any]:
        """Return the file's values, by setting; raise `SettingsError` for a file that can't be read."""
        return _toml(self.current_state.get("config"))


def _environment() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in Settings.model_fields:
        values = (os.environ.get(variable) for variable in variables(name))
        if value := next((value for value in values if value), None):
            found[name] = value
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    # An unknown variable is passed on under its own name, so that the model refuses it.
    unknown = (key for key in os.environ if key.startswith(PREFIX) and key not in known)
    return found | dict.fromkeys(unknown, "")


def _toml(named: str | Path | None) -> dict[str, Any]:
    path = Path(named) if named else DEFAULT_CONFIG
    if not named and not path.exists():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"can't read the settings file {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
    return {key.lower(): value for key, value in table.items()}


def load(flags: Mapping[str, Any] | None = None) -> Settings:
    """Return the checked settings; raise `SettingsError` with one sentence for each that can't be used."""
    given = dict(flags or {})
    try:
        return Settings(**given)
    except ValidationError as error:
        places = origins(given)
        raise SettingsError("\n".join(_sentence(entry, places) for entry in error.errors())) from None


def origins(flags: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return where each setting that is not at its default comes from: `flag`, `env` or `toml`."""
    given = dict(flags or {})
    environment = _environment()
    toml = _toml(given.get("config") or environment.get("config"))
    return dict.fromkeys(toml, "toml") | dict.fromkeys(environment, "env") | dict.fromkeys(given, "flag")


def _sentence(error: ErrorDetails, places: Mapping[str, str]) -> str:
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        return _unknown(name, places.get(name, ""))
    field = Settings.model_fields[name]
    said = error["msg"].removeprefix("Value error, ")
    if error["type"] == "string_pattern_mismatch":
        said = f"it does not fit ({field.description})"
    found = "" if "SecretStr" in str(field.annotation) else f"; found {redactor()(repr(error['input']))}"
    return f"{_spelled(name, places.get(name, ''))}: {said[:1].lower()}{said[1:]}{found}"


def _spelled(name: str, place: str) -> str:
    spellings = {"flag": f"--{name.replace('_', '-')}", "toml": f"{name} in the settings file"}
    return spellings.get(place, f"setting {PREFIX}{name.upper()}")


def _unknown(key: str, place: str) -> str:
    close = difflib.get_close_matches(key.removeprefix(PREFIX).lower(), Settings.model_fields, n=1)
    spelled = [PREFIX + name.upper() if place == "env" else name for name in close]
    hint = f"did you mean {spelled[0]}?" if spelled else "`phaseline config show` lists them all"
    where = " in the settings file" if place == "toml" else ""
    return f"unknown setting {key}{where}; {hint}"
