"""Settings from the environment and from conf.d, and rules between several of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from receiver.config import Config, ConfigError, load_config, policy_of
from tests.unit.config.written import MINIMAL, Write, ids_of

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
        config.policy.two_people = False  # that is what must fail


def test_policy_takes_what_is_set(write: Write) -> None:
    text = WHOLE.replace('id = "iwf"', 'id = "iwf"\nmax_acts_per_hour = 3') + "\n[policy]\nwatch_days = 5\n"
    config: Config = load_config(write(text), {"TAKEDOWN_SERVER__COUNTRY": "GB"})
    policy = policy_of(config)
    issuer = policy.issuers["iwf"]
    assert (policy.watch_days, policy.served_from, policy.source) == (5, "GB", "https://notices.host.example")
    assert (issuer.max_acts_per_hour, issuer.max_customers_per_hour) == (3, 50)
    assert dict(issuer.categories) == {"csam": "act"}


def test_unlistable_conf_d_is_a_mistake(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken for an empty folder it would make every issuer and route in it vanish."""
    path = write(WHOLE)
    (path.parent / "conf.d").write_text("no folder")
    with pytest.raises(ConfigError, match=r"C01 .*/conf\.d: the folder cannot be read"):
        load_config(path, {})
    (path.parent / "conf.d").unlink()

    def closed(_: Path) -> list[str]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("receiver.config.sources.os.listdir", closed)
    with pytest.raises(ConfigError, match=r"conf\.d: the folder cannot be read \(Permission denied\)"):
        load_config(path, {})
