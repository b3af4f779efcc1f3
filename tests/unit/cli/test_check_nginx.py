"""`check` looks whether nginx reads what a gate writes: denying into a file that nobody includes denies nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from receiver.cli.checks import nginx
from receiver.cli.findings import Finding, Level
from receiver.config import Config
from tests.doubles.check_answers import config_of, only
from tests.support import need_root, nobody, wait_until
from tests.unit.cli.conftest import Typed

GATE = '\n[gates.web]\ntype = "nginx"\nagent = "unix:run/agent.sock"\n'
Run = Callable[[str], None]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "ng" / "conf.d").mkdir(parents=True)
    return tmp_path / "ng"


@pytest.fixture
def config(typed: Typed, place: Path) -> Config:
    with (typed.folder / "agent.toml").open("a") as file:
        file.write(f'[gates.web]\ntype = "nginx"\nmap_file = "{place}/deny.conf"\npid_file = "{place}/nginx.pid"\n')
    return config_of(typed, GATE)


@pytest.fixture
def run(place: Path) -> Iterator[Run]:
    """A process with the title of an nginx master that was started with these options."""
    started: list[subprocess.Popen[bytes]] = []

    def start(options: str) -> None:
        title = f"nginx: master process /usr/sbin/nginx {options}".rstrip()
        started.append(subprocess.Popen([title, "600"], executable="/bin/sleep"))
        (place / "nginx.pid").write_text(f"{started[-1].pid}\n")
        named = Path(f"/proc/{started[-1].pid}/cmdline")
        wait_until(lambda: named.read_bytes().startswith(b"nginx:"), "it has its title", seconds=60)

    yield start
    for process in started:
        process.kill()
        process.wait()


def asked(config: Config) -> Finding:
    return only(nginx.ask_gates(config), "G04")


def conf(place: Path, text: str) -> None:
    (place / "nginx.conf").write_text(text.format(place=place))


@pytest.mark.parametrize(
    "text",
    [
        "http {{ include {place}/conf.d/*.conf; }}",
        "http {{\n  # include {place}/deny.conf;\n}}",
        "http {{ include {place}/other.conf; }}",
    ],
    ids=["elsewhere", "commented", "other"],
)
def test_a_map_that_nobody_includes_fails(config: Config, place: Path, run: Run, text: str) -> None:
    (place / "other.conf").write_text("server { if ($takedown_deny) { return 404; } }")
    conf(place, text)
    run(f"-c {place}/nginx.conf -g daemon off;")
    found = asked(config)
    assert (found.level, f"includes {place}/deny.conf" in found.words) == (Level.FAIL, True)
    assert f"include {place}/deny.conf;" in found.hint


@pytest.mark.parametrize("line", ["", "# if ($takedown_deny) {{ return 404; }}"], ids=["missing", "commented"])
def test_a_map_that_no_server_asks_fails(config: Config, place: Path, run: Run, line: str) -> None:
    (place / "deny.conf").write_text("map $x $takedown_deny { default 0; }")
    conf(place, f"http {{{{ include {{place}}/deny.conf;\n server {{{{\n{line}\n}}}} }}}}")
    run(f"-c {place}/nginx.conf")
    found = asked(config)
    assert (found.level, "no server asks" in found.words) == (Level.FAIL, True)
    assert "first in each server block" in found.hint


@pytest.mark.parametrize(
    "included", ["{place}/deny.conf", '"{place}/deny.conf"', "'{place}/d*y.conf'", "deny.conf", "link.conf"]
)
def test_every_way_to_include_it_counts(config: Config, place: Path, run: Run, included: str) -> None:
    (place / "deny.conf").touch()
    (place / "link.conf").symlink_to("deny.conf")
    (place / "conf.d" / "site.conf").write_text(
        f"include {included.format(place=place)};\nserver {{ if ($takedown_deny) {{ return 404; }} }}"
    )
    conf(place, "http {{ include conf.d/*.conf; }}")
    run(f"-c {place}/nginx.conf")
    assert asked(config).level is Level.OK


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("if ($takedown_deny) { return 404; }", None),
        ("if ( $takedown_deny ) {\n add_header A b;\n return 410;\n}", "answers 410"),
        ("if ($takedown_deny) { return 404; } } server { if ($takedown_deny) { return 451; }", "answers 404, 451"),
        ("if ($other) { return 410; } if ($takedown_deny) { return 404; }", None),
    ],
    ids=["as set", "another", "one of two", "of something else"],
)
def test_another_answer_than_the_settings_say_is_told(
    config: Config, place: Path, run: Run, line: str, told: str | None
) -> None:
    (place / "deny.conf").touch()
    (place / "conf.d" / "site.conf").write_text(f"include {place}/deny.conf;\nserver {{ {line} }}")
    conf(place, "http {{ include conf.d/*.conf; }}")
    run(f"-c {place}/nginx.conf")
    found = {finding.id: finding for finding in nginx.ask_gates(config)}
    assert found["G04"].level is Level.OK
    assert told in found["G05"].words if told else "G05" not in found


def test_an_nginx_that_is_gone_is_told(config: Config, place: Path, run: Run) -> None:
    found = asked(config)
    assert (found.level, "nginx.pid names no nginx" in found.words) == (Level.WARN, True)
    run("")
    (place / "nginx.pid").write_text("1\n")
    assert asked(config).level is Level.WARN


@pytest.mark.parametrize("options", ["-p /srv/nginx/", "-c conf/nginx.conf"])
def test_a_configuration_nobody_can_name_is_left_alone(config: Config, run: Run, options: str) -> None:
    run(options)
    assert (asked(config).level, "nobody can tell" in asked(config).words) == (Level.OK, True)


def test_the_usual_file_is_looked_at(config: Config, place: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("receiver.cli.checks.nginx.USUAL_FILES", (f"{place}/none", f"{place}/nginx.conf"))
    conf(place, "http {{}}")
    run("-g daemon off;")
    assert asked(config).level is Level.FAIL


def test_what_cannot_be_read_proves_nothing(config: Config, place: Path, run: Run) -> None:
    need_root()
    conf(place, "http {{ include secret.conf; }}")
    (place / "secret.conf").touch(mode=0o600)
    for above in (place, place.parent, *list(place.parents)[1:3], config.folder):
        above.chmod(0o755)
    (config.folder / "agent.toml").chmod(0o644)
    run(f"-c {place}/nginx.conf")
    with nobody():
        found = asked(config)
    assert (found.level, "could not be looked through" in found.words) == (Level.OK, True)


def test_includes_without_end_are_not_followed(
    config: Config, place: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("receiver.cli.checks.nginx.MAX_FILES", 3)
    conf(place, "include nginx.conf; include conf.d/*;")
    for number in range(3):
        (place / "conf.d" / str(number)).touch()
    run(f"-c {place}/nginx.conf")
    assert "too many files" in asked(config).words


def test_gates_of_other_machines_are_not_looked_for(typed: Typed, config: Config) -> None:
    (typed.folder / "agent.toml").unlink()
    assert list(nginx.ask_gates(config)) == []
