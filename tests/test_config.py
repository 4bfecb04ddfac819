"""Settings are refused all at once, by name, and without a secret's value; the docs say what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.source import ROOT
from wagate.config import (
    ClientSettings,
    Settings,
    SettingsError,
    is_loopback,
    load,
    load_client,
    settings,
    settings_table,
    unknown,
)

REFUSED = {
    "WAGATE_DATA_DIR": ["a\0b"],
    "WAGATE_HOST": ["a b", "300.1.1.1", "http://x", "::1::", "host_name", "a..b"],
    "WAGATE_PORT": ["-1", "65536", "8080.0", "http", "٨٠", "1e3", "+1"],
    "WAGATE_DATABASE_URL": ["mysql://h/d", "gate.db", "postgresql:d", "postgresql://", "sqlite:", "postgresql://h:x/d"],
    "WAGATE_SECRET_KEY": ["short", "x" * 31, "ä" * 40, "x" * 20 + " " + "x" * 20],
    "WAGATE_NODE_ID": ["a:b", "x" * 65, "a b", "ä"],
    "WAGATE_ENGINE": ["telegram", "sandbox,whatsapp"],
    "WAGATE_WHATSAPP": ["maybe", "2"],
    "WAGATE_WHATSAPP_PER_HOST": ["0", "65", "8.0", "many"],
    "WAGATE_SANDBOX": ["maybe", "2"],
    "WAGATE_SANDBOX_SEED": ["-1", "x"],
    "WAGATE_CLOCK": ["utc"],
    "WAGATE_SEND_TIMEOUT": ["0", "nan", "inf", "-1", "601", "30s"],
    "WAGATE_DEFAULT_RATE_PER_MIN": ["-1", "many"],
    "WAGATE_DEFAULT_RATE_PER_HOUR": ["1.5"],
    "WAGATE_AUTO_READ": ["ja"],
    "WAGATE_EVENT_DAYS": ["0", "99999"],
    "WAGATE_MEDIA_DAYS": ["0", "x"],
    "WAGATE_MEDIA_FETCH": ["never"],
    "WAGATE_ALLOWED_NETWORKS": ["10.0.0.1/8", "localhost", "10.0.0.0/8;::1", "10.0.0.0/33"],
    "WAGATE_CORS_ORIGINS": ["*", "example.com", "https://a/b", "https://u:p@a", "ftp://a", "https://a:port"],
    "WAGATE_METRICS_PORT": ["70000"],
    "WAGATE_TRACING": ["maybe"],
    "WAGATE_METRICS_TOKEN": ["guess"],
    "WAGATE_JWKS_URL": ["jwks", "ftp://x/jwks", "https://", "https://u:p@x/jwks", "https://x/jwks#a", "https://x:y/"],
    "WAGATE_JWT_ISSUER": ["a b", "ä", "x" * 513],
    "WAGATE_JWT_AUDIENCE": ["a b", "x" * 513],
    "WAGATE_JWT_USER_CLAIM": ["a b"],
    "WAGATE_JWT_ORG_CLAIM": ["x" * 129],
    "WAGATE_JWT_ORG_ROLE_CLAIM": ["a b"],
    "WAGATE_JWT_ROLE_CLAIM": ["ä"],
    "WAGATE_JWT_CREATE_ORGS": ["maybe"],
    "WAGATE_LOG_LEVEL": ["loud"],
    "WAGATE_LOG_FORMAT": ["xml"],
}
REFUSED_OF_CLIENTS = {
    "WAGATE_URL": ["gateway", "ftp://x", "http://", "http://u:p@x", "http://x?y=1"],
    "WAGATE_API_KEY": ["key", "wa_short", "Bearer wa_" + "x" * 43],
}
EACH = [(name, value) for name, values in REFUSED.items() for value in values]
EACH_OF_CLIENTS = [(name, value) for name, values in REFUSED_OF_CLIENTS.items() for value in values]


@pytest.mark.parametrize(("variable", "value"), EACH)
def test_a_bad_value_is_refused_by_name_and_with_what_is_allowed(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({variable: value})
    [problem] = refused.value.problems
    assert problem.startswith(f"{variable}: ")
    assert "allowed: " in problem


@pytest.mark.parametrize(("variable", "value"), EACH_OF_CLIENTS)
def test_a_bad_value_of_a_client_is_refused_too(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        load_client({variable: value})


def test_every_setting_has_values_that_are_refused() -> None:
    assert {each.variable for each in settings()} == {*REFUSED, *REFUSED_OF_CLIENTS}


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        load({"WAGATE_PORT": "x", "WAGATE_CLOCK": "utc", "WAGATE_HOST": "a b", "WAGATE_ENGINE": "sandbox"})
    assert [problem.partition(":")[0] for problem in refused.value.problems] == [
        "WAGATE_HOST",
        "WAGATE_PORT",
        "WAGATE_CLOCK",
    ]


@pytest.mark.parametrize("secret", [each for each in settings() if each.secret], ids=lambda each: each.variable)
def test_a_secret_is_neither_told_nor_shown(secret: object) -> None:
    variable = secret.variable  # type: ignore[attr-defined]
    read = load_client if variable == "WAGATE_API_KEY" else load
    with pytest.raises(SettingsError) as refused:
        read({variable: "hunter2 hunter2"})
    assert "hunter2" not in str(refused.value)
    good = {
        "WAGATE_DATABASE_URL": "postgresql://gate:hunter2@db/gate",
        "WAGATE_API_KEY": "wa_hunter2" + "x" * 36,
    }.get(variable, "hunter2-" * 8)
    assert "hunter2" not in repr(read({variable: good}))


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        load_client({"WAGATE_URL": "http://me:hunter2@gate"})
    assert "hunter2" not in str(refused.value)


def test_a_turned_clock_does_not_go_with_the_real_network() -> None:
    with pytest.raises(SettingsError, match="WAGATE_CLOCK"):
        load({"WAGATE_CLOCK": "manual", "WAGATE_ENGINE": "whatsapp"})


LOGIN = {
    "WAGATE_JWKS_URL": "https://login.example.com/jwks?client=a",
    "WAGATE_JWT_ISSUER": "https://login.example.com/",
    "WAGATE_JWT_AUDIENCE": "wagate",
}


@pytest.mark.parametrize("absent", LOGIN)
def test_login_tokens_need_all_of_their_settings(absent: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load({name: value for name, value in LOGIN.items() if name != absent})
    [problem] = refused.value.problems
    assert problem.startswith(f"{absent}: it is missing; ")
    with pytest.raises(SettingsError) as refused:
        load({**LOGIN, absent: "ä ö"})
    [problem] = refused.value.problems
    chosen = load(LOGIN)
    assert [chosen.jwks_url, chosen.jwt_issuer, chosen.jwt_audience] == list(LOGIN.values())


def test_metrics_do_not_share_the_gateways_port() -> None:
    with pytest.raises(SettingsError, match="WAGATE_METRICS_PORT"):
        load({"WAGATE_METRICS_PORT": "8080"})
    assert load({"WAGATE_PORT": "0", "WAGATE_METRICS_PORT": "0"}).metrics_port == 0


def test_a_slip_of_the_pen_is_noticed() -> None:
    [sentence] = unknown({"WAGATE_PROT": "1", "WAGATE_PORT": "1", "PATH": "x", "WAGATE_API_KEY": "x"})
    assert sentence == "WAGATE_PROT is not a setting; did you mean WAGATE_PORT?"


def test_nothing_set_means_the_defaults() -> None:
    chosen = load({"WAGATE_PORT": "", "WAGATE_HOST": "  "})
    assert (chosen.host, chosen.port, chosen.data_dir) == ("127.0.0.1", 8080, Path("data"))
    assert chosen.database_url == "sqlite:///data/wagate.db"
    assert chosen == Settings()
    assert load_client({}) == ClientSettings()


def test_clients_look_where_the_gateway_listens() -> None:
    assert load_client({"WAGATE_PORT": "9000"}).url == "http://127.0.0.1:9000"
    assert load_client({"WAGATE_PORT": "9000", "WAGATE_URL": "https://gate/x/"}).url == "https://gate/x"


def test_values_are_read_as_what_they_are() -> None:
    chosen = load(
        {
            "WAGATE_DATA_DIR": "/var/lib/gate 1",
            "WAGATE_SANDBOX": "OFF",
            "WAGATE_AUTO_READ": "true",
            "WAGATE_SEND_TIMEOUT": "1.5",
            "WAGATE_CORS_ORIGINS": "https://App.example.com/, http://localhost:3000",
            "WAGATE_LOG_LEVEL": "WARNING",
            "WAGATE_NODE_ID": "gate-1.example",
            "WAGATE_HOST": "::1",
        }
    )
    assert chosen.database_url == "sqlite:////var/lib/gate%201/wagate.db"
    assert (chosen.sandbox, chosen.auto_read, chosen.send_timeout) == (False, True, 1.5)
    assert chosen.cors_origins == ("https://app.example.com", "http://localhost:3000")
    assert (chosen.log_level, chosen.node_id, chosen.is_local) == ("warning", "gate-1.example", True)


@pytest.mark.parametrize("name", ["gate:1", "ä" * 80, "...", ""])
def test_any_host_name_becomes_a_node_id(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: name)
    node = Settings().node_id
    assert load({"WAGATE_NODE_ID": node}).node_id == node


def test_only_this_machines_addresses_are_local() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "gate.example.com")))


def test_the_page_of_settings_is_current() -> None:
    page = ROOT / "docs" / "reference" / "settings.md"
    assert page.read_text() == settings_table(), "write it anew: wagate.config.settings_table()"
    assert all(each.sentence.endswith(".") for each in settings())
