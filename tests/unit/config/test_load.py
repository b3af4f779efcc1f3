"""Settings are read whole, judged whole, and every mistake is said at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from receiver.config import Config, ConfigError, load_config, policy_of

MINIMAL = """
[server]
public_origins = ["https://notices.host.example"]
"""
WHOLE = (
    MINIMAL
    + """
[[issuers]]
id = "iwf"
keys_file = "issuers/iwf.jwks.json"
categories = { csam = "act" }
callback_url = "https://hotline.example/cb"

[adapters.www]
type = "memory"

[[routes]]
host = "img.example.net"
customer = "acme"
storage = "www"
key = "acme/public{path}"
"""
)

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return put


def ids_of(path: Path, **environ: str) -> dict[str, str]:
    """Setting to problem id."""
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ)
    return {problem.setting: problem.id for problem in caught.value.problems}


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


def test_environment_wins_over_the_file(write: Write) -> None:
    path = write(WHOLE)
    config = load_config(
        path,
        {
            "TAKEDOWN_POLICY__TWO_PEOPLE": "false",
            "TAKEDOWN_POLICY__REMOVE_AFTER_DAYS": "7",
            "TAKEDOWN_POLICY__PROTECTED": '["https://www.host.example/"]',
            "TAKEDOWN_SERVER__COUNTRY": "GB",
            "TAKEDOWN_ISSUERS__0__NAME": "Watchers",
            "TAKEDOWN_CACHES__EDGE__TYPE": "memory",
            "TAKEDOWN_CONFIG": str(path),
            "UNRELATED": "x",
        },
    )
    assert (config.policy.two_people, config.policy.remove_after_days) == (False, 7)
    assert config.policy.protected == ("https://www.host.example/",)
    assert config.server.country == "GB"
    assert config.issuers[0].name == "Watchers"
    assert config.caches == {"edge": {"type": "memory"}}


def test_environment_can_be_the_only_source(write: Write) -> None:
    config = load_config(
        write(""),
        {
            "TAKEDOWN_SERVER__PUBLIC_ORIGINS": '["https://notices.host.example"]',
            "TAKEDOWN_ISSUERS__0__ID": "iwf",
            "TAKEDOWN_ISSUERS__0__KEYS_FILE": "iwf.json",
            "TAKEDOWN_ISSUERS__0__CATEGORIES": '{ csam = "act" }',
        },
    )
    assert config.issuers[0].id == "iwf"


@pytest.mark.parametrize("name", ["TAKEDOWN_SERVER__", "TAKEDOWN_ISSUERS__7__NAME", "TAKEDOWN_SERVER__DATA_DIR__X__Y"])
def test_variables_that_name_nothing_are_mistakes(write: Write, name: str) -> None:
    assert "C04" in ids_of(write(WHOLE + '\n[keys]\n[database]\nurl = "sqlite:///a"'), **{name: "1"}).values() or (
        "C12" in ids_of(write(WHOLE), **{name: "1"}).values()
    )


def test_conf_d_adds_issuers_and_routes(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "route-b.toml").write_text(
        '[[routes]]\nhost = "b.example.net"\ncustomer = "b"\nstorage = "www"\nkey = "b{path}"'
    )
    (folder / "adapter.toml").write_text('[adapters.second]\ntype = "memory"')
    (folder / ".half-written.toml.tmp").write_text("[[routes]")
    config = load_config(write(WHOLE), {})
    assert [route.host for route in config.routes] == ["img.example.net", "b.example.net"]
    assert set(config.adapters) == {"www", "second"}


def test_conf_d_changes_nothing_that_stands(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "a.toml").write_text('[policy]\ntwo_people = false\n[adapters.www]\ntype = "memory"')
    with pytest.raises(ConfigError) as caught:
        load_config(write(WHOLE), {})
    assert [(problem.id, problem.setting) for problem in caught.value.problems] == [
        ("C03", "policy"),
        ("C03", "adapters"),
    ]


def test_an_issuer_or_route_stands_once(write: Write) -> None:
    twice = WHOLE + WHOLE[WHOLE.index("[[issuers]]") : WHOLE.index("[adapters.www]")]
    twice += WHOLE[WHOLE.index("[[routes]]") :]
    assert ids_of(write(twice)) == {"issuers.iwf": "C21", "routes.img.example.net/": "C21"}


def test_an_alias_is_a_route_too(write: Write) -> None:
    more = WHOLE[WHOLE.index("[[routes]]") :].replace('host = "img.', 'aliases = ["img.example.net"]\nhost = "b.')
    assert ids_of(write(WHOLE + more)) == {"routes.img.example.net/": "C21"}


def test_a_route_needs_store_or_gate(write: Write) -> None:
    more = '\n[[routes]]\nhost = "b.example.net"\ncustomer = "b"\n'
    assert ids_of(write(WHOLE + more)) == {"routes.b.example.net/": "C27"}


@pytest.mark.parametrize("place", ["{root}/.q", "{root}", "{root}/../www/q", "{root}/link/q"])
def test_quarantine_under_a_root_is_refused(write: Write, tmp_path: Path, place: str) -> None:
    root = tmp_path / "www"
    root.mkdir()
    (root / "link").symlink_to(root)
    text = MINIMAL + (
        f'[adapters.www]\ntype = "filesystem"\nagent = "unix:a.sock"\nroot = "{root}"\n'
        f'quarantine_dir = "{place.format(root=root)}"'
    )
    assert ids_of(write(text)) == {"adapters.www.quarantine_dir": "C23"}


def test_private_callbacks_must_be_allowed(write: Write) -> None:
    text = WHOLE.replace("https://hotline.example/cb", "http://127.0.0.1:9000/cb")
    assert ids_of(write(text)) == {"issuers.iwf.callback_url": "C26"}
    allowed = text.replace('id = "iwf"', 'id = "iwf"\nallow_private_callback = true')
    assert load_config(write(allowed), {}).issuers[0].allow_private_callback


def test_keys_come_from_one_place(write: Write) -> None:
    both = WHOLE.replace('id = "iwf"', 'id = "iwf"\nkeys_url = "https://hotline.example/jwks"')
    assert ids_of(write(both)) == {"issuers.iwf": "C25"}


def test_postgresql_password_stands_in_a_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("a b/c\n")
    text = MINIMAL + '[database]\nurl = "postgresql+psycopg://web@db.example:5432/x"\npassword_file = "pw"'
    config = load_config(write(text), {})
    assert config.database.full_url() == "postgresql+psycopg://web:a%20b%2Fc@db.example:5432/x"
    assert "a b" not in repr(config)
    assert config.database.sqlite_path is None


def test_hash_follows_meaning_not_words(write: Write) -> None:
    one = load_config(write(WHOLE), {})
    same = load_config(write("# a comment\n" + WHOLE), {"TAKEDOWN_DATABASE__URL": "postgresql+psycopg://other@db/x"})
    other = load_config(write(WHOLE), {"TAKEDOWN_POLICY__TWO_PEOPLE": "false"})
    assert one.sha256() == same.sha256() != other.sha256()


def test_settings_cannot_be_changed(write: Write) -> None:
    config = load_config(write(WHOLE), {})
    with pytest.raises(ValueError, match="frozen"):
        config.policy.two_people = False  # type: ignore[misc]  # that is what must fail


def test_policy_takes_what_is_set(write: Write) -> None:
    text = WHOLE.replace('id = "iwf"', 'id = "iwf"\nmax_acts_per_hour = 3') + "\n[policy]\nwatch_days = 5\n"
    config: Config = load_config(write(text), {"TAKEDOWN_SERVER__COUNTRY": "GB"})
    policy = policy_of(config)
    issuer = policy.issuers["iwf"]
    assert (policy.watch_days, policy.served_from, policy.source) == (5, "GB", "https://notices.host.example")
    assert (issuer.max_acts_per_hour, issuer.max_customers_per_hour) == (3, 50)
    assert dict(issuer.categories) == {"csam": "act"}
