from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from adapters.contract import CacheHints, CacheKey, PurgeStatus, PurgeTicket
from adapters.nginx.cache import NginxCache
from adapters.nginx.keys import KeyTemplate, file_of, parse_levels, stored_key, wanted_of
from tests.doubles.nginx_map import render
from tests.unit.adapters.running_nginx import NGINX, free_port, need

DEFAULT = "$scheme$proxy_host$request_uri"
README = Path(__file__).parents[3] / "adapters/nginx/README.md"


def store(folder: Path, key: str, levels: str = "1:2", name: str = "") -> Path:
    """A file as nginx keeps it: a binary head, the key, the page."""
    path = folder / file_of((name or key).encode(), parse_levels(levels))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x05\0\0\0" * 84 + b"\nKEY: " + key.encode() + b"\nHTTP/1.1 200 OK\r\n\r\nKEY: not this\n")
    return path


def purge(cache: NginxCache, url: str, hints: CacheHints | None = None) -> PurgeTicket:
    return cache.purge(cache.variants(url, hints or CacheHints()), "op-1")


def test_files_lie_where_nginx_says() -> None:
    digest = hashlib.md5(b"httphttp/x").hexdigest()
    assert file_of(b"httphttp/x", (1, 2)) == f"{digest[-1]}/{digest[-3:-1]}/{digest}"
    assert file_of(b"httphttp/x", ()) == digest
    for wrong in ("3", "1:2:2:1", "a", "1:"):
        with pytest.raises(ValueError, match="levels"):
            parse_levels(wrong)


def test_unnamed_queries_and_variants_go(tmp_path: Path) -> None:
    cache = NginxCache("edge", str(tmp_path), proxy_hosts=("o",))
    gone = [
        store(tmp_path, "httpo/a.jpg"),
        store(tmp_path, "httpso/a.jpg?w=1"),
        store(tmp_path, "httpanother:80/a.jpg?never=named"),
        store(tmp_path, "httpo/%61.jpg"),
        store(tmp_path, "httpo//a.jpg"),
        store(tmp_path, "httpo/a.jpg", name="a variant by Vary"),
    ]
    kept = [store(tmp_path, key) for key in ("httpo/a.jpg.bak", "httpo/b/a.jpg", "httpo/A.jpg", "httpo/")]
    ticket = purge(cache, "https://img.example/a.jpg")
    assert (ticket.status, ticket.residual) == (PurgeStatus.DONE, ())
    assert ticket.reference["dropped"] == len(gone)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_hosts_in_the_key_count(tmp_path: Path) -> None:
    cache = NginxCache("edge", str(tmp_path), key_template="$scheme://$host$uri$is_args$args")
    ours, alias = store(tmp_path, "https://img.example/a.jpg?x"), store(tmp_path, "http://alias.example/a.jpg")
    other = store(tmp_path, "http://other.example/a.jpg")
    purge(cache, "https://img.example/a.jpg", CacheHints(aliases=("alias.example",)))
    assert [path.exists() for path in (ours, alias, other)] == [False, False, True]


def test_search_limit_is_told(tmp_path: Path) -> None:
    cache = NginxCache("edge", str(tmp_path), proxy_hosts=("o",), scan_files=3)
    for number in range(10):
        store(tmp_path, f"httpo/{number}.jpg")
    named = store(tmp_path, "httpo/a.jpg")
    ticket = purge(cache, "https://img.example/a.jpg")
    assert not named.exists()
    assert ticket.residual


def test_page_is_never_read(tmp_path: Path) -> None:
    cache = NginxCache("edge", str(tmp_path))
    path = store(tmp_path, "httpo/a.jpg")
    with path.open("ab") as file:
        file.truncate(1 << 32)
    assert purge(cache, "http://img.example/b.jpg").reference["dropped"] == 0
    assert purge(cache, "http://img.example/a.jpg").reference["dropped"] == 1


def test_foreign_files_are_left(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing of nginx's")
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "pipe")
    purge(NginxCache("edge", str(tmp_path)), "http://img.example/a.jpg")
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "link", "pipe"}


def test_absent_directory_is_lost_not_broken(tmp_path: Path) -> None:
    cache = NginxCache("edge", str(tmp_path / "none"))
    assert len(cache.probe().lost) == 2
    assert cache.purge([CacheKey("http://img.example/a.jpg")], "op-1").status is PurgeStatus.DONE


@pytest.mark.parametrize("template", ["$scheme$proxy_host", "$request_uri$cookie_user", ""])
def test_unknown_templates_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match="key_template"):
        KeyTemplate(template)


def test_keys_are_found_in_heads() -> None:
    assert stored_key(b"\0\1\nKEY: httpo/a.jpg\nHTTP") == b"httpo/a.jpg"
    assert stored_key(b"\0\1\nKEY: cut of") is None
    assert stored_key(b"") is None


def test_template_names_encoded_paths() -> None:
    template = KeyTemplate(DEFAULT)
    wanted = frozenset({wanted_of("https://x/pic%20one.jpg?w=1")})
    assert template.names(b"httpo/p%69c%20one.jpg?z", wanted)
    assert not template.names(b"httpo/pic.jpg", wanted)
    assert not template.names(b"ftp", wanted)


def test_readme_configuration_is_valid(tmp_path: Path) -> None:
    """What operators copy is what nginx accepts."""
    need(Path(NGINX).exists(), "nginx")
    blocks = re.findall(r"```nginx\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "deny.conf").write_bytes(render([], "0"))
    shown = blocks[0].replace("/var/lib/takedown", str(tmp_path))
    shown = shown.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}\n{shown}")
    done = subprocess.run([NGINX, "-t", "-c", str(conf)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("host", ["site.example", "example.net"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_scheme_and_host_run_together(host: str, scheme: str) -> None:
    """`httpsite.example/a` is http and site.example, not https and ite.example."""
    template = KeyTemplate("$scheme$host$request_uri")
    wanted = frozenset({wanted_of(f"{scheme}://{host}/a.jpg")})
    assert template.names(f"{scheme}{host}/a.jpg?v=1".encode(), wanted)
    assert not template.names(f"{scheme}{host}.other/a.jpg".encode(), wanted)
