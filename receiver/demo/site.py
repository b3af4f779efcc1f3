"""The customer's site: nginx with our gate and Varnish in front if installed, else a small one of our own."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
from collections.abc import Sequence

from receiver.demo.builtin_site import BuiltInSite
from receiver.demo.children import Child, answers
from receiver.demo.commands import SOURCE
from receiver.demo.errors import DemoError
from receiver.demo.places import HOST, Facts, Places, program
from receiver.demo.setup import nginx_words

CACHE_SECONDS = 600
"""Long, so that a 404 through Varnish proves a purge and no expiry."""
GET_SECONDS = 5.0


def words_on(facts: Facts) -> Sequence[str]:
    """Which servers are real and what the others cost the demonstration."""
    said = []
    if facts.nginx:
        said.append("site: a real nginx, with the gate in its configuration")
    else:
        said.append("site: built in, since nginx is not installed; it has no gate, so the store's block alone acts")
    if facts.varnish:
        said.append("cache: a real Varnish in front")
    else:
        said.append("cache: none, since Varnish is not installed; there is nothing to purge")
    if os.geteuid() != 0:
        said.append("rights: not root, so held bytes are not frozen and files of other users could not be blocked")
    said.append("for show: custodians, issuer, customer and the `second disk` all lie in this one folder")
    return said


class Site:
    """Started after the receiver, since nginx includes the agent's file; stopped before it."""

    def __init__(self, places: Places, facts: Facts) -> None:
        self._places, self._facts = places, facts
        self._children: list[Child] = []
        self._built_in: BuiltInSite | None = None

    def start(self) -> None:
        """Raises DemoError with the server's own words."""
        if self._facts.nginx:
            self._start_nginx()
        if self._facts.varnish:
            self._start_varnish()
        if not self._facts.nginx:
            self._built_in = BuiltInSite(self._places.docroot, self._facts.origin_port, HOST, CACHE_SECONDS)

    def stop(self) -> None:
        while self._children:
            self._children.pop().stop()
        if self._built_in is not None:
            self._built_in.close()
        # What Varnish kept in memory-mapped files names every URL asked for.
        shutil.rmtree(self._places.servers / "varnish", ignore_errors=True)

    def failed(self) -> str | None:
        return next((child.name for child in self._children if not child.is_running), None)

    def _child(self, name: str, argv: Sequence[str]) -> Child:
        child = Child(
            name,
            argv,
            log=self._places.logs / f"{name}.log",
            pid_file=self._places.run / f"{name}.pid",
            orphan_signal=signal.SIGTERM,
        )
        self._children.append(child)
        return child

    def _start_nginx(self) -> None:
        found = program("nginx")
        if found is None:
            raise DemoError("this demo began with nginx, which is gone; install it, or begin anew with another --dir")
        (self._places.servers / "nginx.conf").write_text(nginx_conf(self._places, self._facts), encoding="utf-8")
        argv = [found, *nginx_words(self._places), "-g", "daemon off;"]
        child = self._child("nginx", argv)
        child.wait_for(lambda: answers(self._facts.origin_port), "did not answer")

    def _start_varnish(self) -> None:
        found = program("varnishd")
        if found is None:
            raise DemoError("this demo began with Varnish, which is gone; install it, or begin anew with another --dir")
        rules = self._places.servers / "takedown.vcl"
        shutil.copyfile(SOURCE / "adapters" / "varnish" / "takedown.vcl", rules)
        own = self._places.servers / "demo.vcl"
        own.write_text(
            f'vcl 4.1;\ninclude "{rules}";\n'
            f'backend default {{ .host = "127.0.0.1"; .port = "{self._facts.origin_port}"; }}\n',
            encoding="utf-8",
        )
        argv = [
            *(found, "-F", "-n", str(self._places.servers / "varnish"), "-f", str(own), "-T", "none", "-j", "none"),
            *("-a", f"127.0.0.1:{self._facts.front_port}", "-s", "malloc,16m"),
        ]
        self._child("varnish", argv).wait_for(lambda: answers(self._facts.front_port), "did not answer")


def nginx_conf(places: Places, facts: Facts) -> str:
    """As an operator would write it, but for `user root`: the folder may lie where nobody else may enter."""
    work = places.servers / "nginx"
    work.mkdir(mode=0o700, exist_ok=True)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f'    {kind}_temp_path "{work}/{kind}";' for kind in kinds)
    user = "user root;\n" if os.geteuid() == 0 else ""
    # No access log, and no line for a file that is not there: both would name URLs.
    return f"""{user}worker_processes 2;
pid "{places.run}/nginx.pid";
error_log "{places.logs}/nginx.log" alert;
events {{ worker_connections 256; }}
http {{
    access_log off;
    log_not_found off;
    server_tokens off;
{temporary}
    types {{ image/png png; }}
    map_hash_bucket_size 8192;
    include "{places.deny_map}";
    map $status $demo_cache_control {{ default "no-store"; 200 "max-age={CACHE_SECONDS}"; }}
    server {{
        listen 127.0.0.1:{facts.origin_port};
        server_name {HOST};
        root "{places.docroot}";
        add_header Cache-Control $demo_cache_control always;
        if ($takedown_deny) {{ return 404; }}
    }}
}}
"""


def get(port: int, path: str) -> tuple[int, bytes]:
    """As a visitor of the site. Status 0: no answer."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=GET_SECONDS)
    try:
        link.request("GET", path, headers={"Host": HOST})
        answer = link.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        link.close()


def get_status(port: int, path: str) -> int:
    return get(port, path)[0]
