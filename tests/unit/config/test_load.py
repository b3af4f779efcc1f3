"""Settings are read whole, judged whole, and every mistake is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver.config import ConfigError, load_config
from tests.unit.config.written import MINIMAL, Write, ids_of


def test_minimal_settings_have_safe_defaults(write: Write) -> None:
    config = load_config(write(MINIMAL), {})
    assert config.policy.two_people
    assert config.policy.on_withdrawal == "two_people"
    assert config.server.public_bind == "127.0.0.1:8440"
    assert config.limits.max_items == 250


def test_paths_start_at_the_files_folder(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(MINIMAL)
    monkeypatch.chdir("/")
    config = load_config(path, {})
    assert config.server.data_dir == tmp_path / "data"
    assert config.keys.data_key_file == tmp_path / "keys" / "data.key"
    assert config.database.sqlite_path == tmp_path / "data" / "receiver.db"
    assert config.folder == tmp_path


def test_all_mistakes_are_reported_together(write: Write) -> None:
    found = ids_of(
        write(
            """
            surplus = 1
            [server]
            public_origin = ["https://x"]
            admin_bind = "localhost"
            [[issuers]]
            id = "iwf"
            categories = { csam = "perhaps" }
            callback_url = "http://hotline.example/cb"
            [[routes]]
            host = "img.example.net"
            customer = "acme"
            storage = "nowhere"
            [adapters.www]
            type = "tape"
            """
        )
    )
    assert found == {
        "surplus": "C10",
        "server.public_origin": "C10",
        "server.public_origins": "C11",
        "server.admin_bind": "C12",
        "issuers.iwf.categories.csam": "C12",
        "issuers.iwf": "C25",
        "issuers.iwf.callback_url": "C26",
        "routes.img.example.net/.storage": "C22",
        "adapters.www": "C20",
    }


def test_problems_say_what_to_do_and_where(write: Write) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(MINIMAL + "[policy]\ntwo_poeple = false\n"), {})
    (problem,) = caught.value.problems
    assert problem.hint == "Did you mean two_people?"
    assert problem.anchor == "docs/settings.md#policytwo_people"
    assert str(caught.value) == problem.line()


def test_no_message_repeats_a_value(write: Write) -> None:
    secret = "hunter2-very-secret"
    path = write(
        MINIMAL
        + f"""
        [database]
        url = "postgresql+psycopg://user:{secret}@db/x"
        [policy]
        preserve = "{secret}"
        protected = ["{secret}"]
        """
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert len(caught.value.problems) == 3
    assert secret not in str(caught.value)


def test_unreadable_file_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="init DIR"):
        load_config(tmp_path / "none.toml", {})


def test_broken_toml_names_the_line(write: Write) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        load_config(write("[server]\nx =\n"), {})


@pytest.mark.parametrize(
    "origin",
    [
        "http://notices.host.example",
        "https://notices.host.example/",
        "https://Notices.host.example",
        "https://notices.host.example:443",
        "https://user@notices.host.example",
        "https://notices.host.example?",
        "ftp://notices.host.example",
        "notices.host.example",
    ],
)
def test_origins_are_origins_alone(write: Write, origin: str) -> None:
    assert ids_of(write(f'[server]\npublic_origins = ["{origin}"]')) == {"server.public_origins.0": "C12"}


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8440", "http://[::1]:8440", "https://notices.host.example:8443"])
def test_loopback_origins_may_lack_tls(write: Write, origin: str) -> None:
    assert load_config(write(f'[server]\npublic_origins = ["{origin}"]'), {}).server.public_origins == (origin,)


@pytest.mark.parametrize("bind", ["8440", "127.0.0.1", "host.example:80", "::1:80", "127.0.0.1:99999", "unix:"])
def test_binds_are_addresses(write: Write, bind: str) -> None:
    assert ids_of(write(MINIMAL + f'public_bind = "{bind}"')) == {"server.public_bind": "C12"}
