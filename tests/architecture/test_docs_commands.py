"""Every command that a document shows is typed by a test, or stands here with the reason why none can."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest

from receiver.cli import main as receiver_main
from receiver.demo.__main__ import main as demo_main
from tests.bench.__main__ import main as bench_main
from tests.doubles.documents import PAGES, ROOT, blocks

WHOLE_PAGES = {"docs/first-set-up.md": "tests/e2e/test_first_set_up.py"}
"""Typed from top to bottom."""
_DEMO = "tests/e2e/test_demo.py"
_GUIDE = "tests/unit/adapters/test_guide.py"
TYPED_BY = {
    "make demo": _DEMO,
    "make demo ARGS=--once": _DEMO,
    "pytest test_shelf.py": _GUIDE,
    """python -c "from adapters.registry import Registry; print(Registry.load().kinds('storage'))\"""": _GUIDE,
    "cat SEAL.header SEAL.age > joined.age": "tests/e2e/test_docs_evidence.py",
    "age -d -i custodian.key -o OUTPUT joined.age && echo whole": "tests/e2e/test_docs_evidence.py",
    "sha256sum OUTPUT": "tests/e2e/test_docs_evidence.py",
}
"""Typed by a test of its own, or by one that starts what `make` starts."""
_HOURS = "takes hours, or the better part of one"
_SHORT = "the short form of docs/first-set-up.md, which is typed, with the names of a real host"
_PACKAGES = "fetches packages"
_ROUTE_ADD = "takedown-receiver route add img.example.net --customer acme"
NOT_TYPED = {
    "make test": "it is what runs this",
    "make torture": _HOURS,
    "make bench": _HOURS,
    'make bench ARGS="P1 P3"': _HOURS,
    "make bench ARGS=--quick": "takes minutes; tests/integration/test_bench_runs.py runs its parts",
    'make bench ARGS="P4 --large"': _HOURS,
    "make bench PEERS=1": _HOURS,
    "make install": _PACKAGES,
    "pip install -e . pytest": _PACKAGES,
    "python -m adapters.agent.server --settings agent.toml": "the agent's own tests start it with this module's `main`",
    "takedown-receiver init /etc/takedown --origin https://notices.host.example": _SHORT,
    "takedown-receiver issuer add iwf --keys-file iwf.jwks.json --category csam=act": _SHORT,
    f'{_ROUTE_ADD} --storage www --key "acme/public{{path}}" --gate nginx': _SHORT,
    "takedown-receiver custodian new my-identity.txt": _SHORT,
    "takedown-receiver db upgrade": _SHORT,
    "takedown-receiver check": _SHORT,
    "takedown-receiver admin-user add anna": _SHORT,
    "takedown-receiver serve": _SHORT,
}
"""Not typed by any test, with why. The words of our own commands are compared with the program all the same."""
NOT_TYPED_FROM = {
    "docker ": "needs a container engine; services, profiles and our own words are compared with the real ones",
    "install -d -o 10001 ": "makes the folder that containers mount; it comes before `docker`",
    "cd ": "leads into a folder of the commands below it, which stand here themselves",
    "$EDITOR ": "a person types here",
}
"""The same, by how a command begins."""
COMPOSE_VERBS = {"up", "down", "kill", "restart", "stop", "start", "logs", "ps", "build", "pull"}
LANGUAGES = {"sh", "text", "toml", "json", "yaml", "python", "nginx", "vcl"}
_SPAN = re.compile(r"`((?:takedown-receiver|make|docker compose) [^`]+)`")


def shown() -> list[tuple[str, str]]:
    """Where, and the command: every typed block outside the pages that are typed whole."""
    return [
        (block.where, command)
        for page in PAGES
        if str(page.relative_to(ROOT)) not in WHOLE_PAGES
        for block in blocks(page)
        if block.is_typed
        for command in block.commands()
    ]


def everything_typed() -> list[tuple[str, str]]:
    return [
        (block.where, command)
        for page in PAGES
        for block in blocks(page)
        if block.is_typed
        for command in block.commands()
    ]


def named_in_prose() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        found += [(str(page.relative_to(ROOT)), span) for span in _SPAN.findall(text)]
    return found


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each simple command of a line: what stands between the shell's own signs."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.commenters, words.whitespace_split = "", True
    found: list[str] = []
    for word in words:
        if set(word) <= set("();<>|&"):
            yield found
            found = []
        else:
            found.append(word)
    yield found


def ours(line: str) -> Iterator[list[str]]:
    """What is said to `takedown-receiver`, also where it runs in a container."""
    for words in simple_commands(line):
        if words[:2] == ["docker", "compose"] and "cli" in words:
            yield words[words.index("cli") + 1 :]
        elif "takedown-receiver" in words:
            yield words[words.index("takedown-receiver") + 1 :]


def mistakes(command: click.Command, words: Sequence[str], *, whole: bool = True) -> list[str]:
    """Unknown verbs and options; with `whole` also what is left out. Nothing is run and no value is looked at."""
    ctx = click.Context(command, info_name="x")
    try:
        given, rest, _ = command.make_parser(ctx).parse_args(args=list(words))
    except click.UsageError as error:
        return [error.format_message()]
    if isinstance(command, click.Group):
        below = command.get_command(ctx, rest[0]) if rest else None
        if below is None:
            return [f"no such command: {rest[:1]}"] if rest or whole else []
        return mistakes(below, rest[1:], whole=whole)
    wanted = [str(parameter.name) for parameter in command.params if whole and parameter.required]
    left_out = [f"{name} is left out" for name in wanted if given.get(name) in (None, [], ())]
    return [*(f"one word too many: {word}" for word in rest), *left_out]


def compose_words(line: str) -> Iterator[str]:
    """Services and profiles that a `docker compose` names."""
    for words in simple_commands(line):
        if words[:2] != ["docker", "compose"]:
            continue
        rest = iter(words[2:])
        for word in rest:
            if word in ("--profile", "--signal"):
                value = next(rest)
                yield from [value] if word == "--profile" else []
            elif word == "run":
                yield next(word for word in rest if not word.startswith("-"))
                break
            elif not word.startswith("-") and word not in COMPOSE_VERBS:
                yield word


def composed() -> set[str]:
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    services = re.findall(
        r"^  ([a-z-]+):$", text.partition("\nservices:\n")[2].partition("\nsecrets:")[0], re.MULTILINE
    )
    return {*services, *re.findall(r"profiles: \[([a-z]+)\]", text)}


def make_words(line: str) -> Iterator[tuple[str, str]]:
    """Target and ARGS of each `make`."""
    for words in simple_commands(line):
        if words[:1] == ["make"]:
            given = dict(word.split("=", 1) for word in words[1:] if "=" in word)
            yield from ((word, given.get("ARGS", "")) for word in words[1:] if "=" not in word)


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize(("where", "command"), shown(), ids=lambda value: str(value)[:70])
def test_shown_command_is_typed_or_listed(where: str, command: str) -> None:
    assert command in TYPED_BY or command in NOT_TYPED or command.startswith(tuple(NOT_TYPED_FROM)), (
        f"{where}: let a test type it, and name it in TYPED_BY; or say in NOT_TYPED why none can"
    )


def test_lists_name_only_what_is_shown() -> None:
    known = {command for _, command in shown()}
    assert [command for command in (*TYPED_BY, *NOT_TYPED) if command not in known] == []
    assert [begin for begin in NOT_TYPED_FROM if not any(command.startswith(begin) for command in known)] == []


def test_lists_name_tests_that_exist() -> None:
    assert [path for path in (*TYPED_BY.values(), *WHOLE_PAGES.values()) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(("where", "command"), everything_typed(), ids=lambda value: str(value)[:70])
def test_words_are_the_programs_own(where: str, command: str) -> None:
    for words in ours(command):
        assert mistakes(receiver_main, words) == [], f"{where}: {' '.join(words)}"
    assert [word for word in compose_words(command) if word not in composed()] == [], f"{where}: {command}"
    for target, args in make_words(command):
        assert target in make_targets(), f"{where}: make {target}"
        program = {"demo": demo_main, "bench": bench_main}.get(target)
        assert program is None or mistakes(program, shlex.split(args)) == [], f"{where}: {command}"


@pytest.mark.parametrize(("where", "span"), sorted(set(named_in_prose())))
def test_prose_names_real_commands(where: str, span: str) -> None:
    for words in ours(span):
        assert mistakes(receiver_main, words, whole=False) == [], f"{where}: `{span}`"
    assert [word for word in compose_words(span) if word not in composed()] == [], f"{where}: `{span}`"
    assert [target for target, _ in make_words(span) if target not in make_targets()] == []


def test_modules_that_are_started_exist() -> None:
    named = {name for _, line in everything_typed() for name in re.findall(r"python -m ([\w.]+)", line)}
    assert [name for name in named if not any((ROOT / name.replace(".", "/")).parent.glob("*.py"))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_say_what_they_hold(page: Path) -> None:
    """A block without a language could hold a command that no test sees."""
    assert [block.where for block in blocks(page) if block.language not in LANGUAGES] == []


@pytest.mark.parametrize(
    "typed",
    [
        "takedown-receiver isuer list",
        "takedown-receiver send n.json --too x",
        "takedown-receiver send",
        "x | takedown-receiver explain URL && x",
        "docker compose run --rm cli isuer",
        "docker compose run --rm nobody check",
        "docker compose --profile none up",
        "make nothing",
    ],
)
def test_wrong_words_are_found(typed: str) -> None:
    found = [mistake for words in ours(typed) for mistake in mistakes(receiver_main, words)]
    found += [word for word in compose_words(typed) if word not in composed()]
    assert found + [target for target, _ in make_words(typed) if target not in make_targets()]
