from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.domain.web import defang
from receiver.resolution.urls import MAX_URL_BYTES, CanonicalUrl, UrlRefusedError, canonical_url

REFUSED = [
    ("user_and_password", "http://u:p@img.example/", "credentials"),
    ("user_only", "http://u@img.example/", "credentials"),
    ("at_without_user", "http://@img.example/", "credentials"),
    ("empty_user_and_password", "http://:@img.example/", "credentials"),
    ("real_host_as_user", "http://img.example@evil.example/", "credentials"),
    ("encoded_at_in_host", "http://img.example%40evil.example/", "unreadable"),
    ("two_ats", "http://a@b@img.example/", "credentials"),
    ("at_at_end", "http://img.example@/", "unreadable"),
    ("backslash_before_at", "http://img.example\\@evil.example/", "backslash"),
    ("backslash_in_path", "http://img.example/a\\b.jpg", "backslash"),
    ("backslashes_for_slashes", "http:\\\\img.example\\a", "backslash"),
    ("javascript", "javascript:alert(1)", "scheme"),
    ("javascript_with_host", "javascript://img.example/%0aalert(1)", "scheme"),
    ("data", "data:text/html,x", "scheme"),
    ("ftp", "ftp://img.example/a", "scheme"),
    ("file", "file:///etc/hosts", "scheme"),
    ("gopher", "gopher://img.example/", "scheme"),
    ("websocket", "wss://img.example/", "scheme"),
    ("view_source", "view-source:http://img.example/", "scheme"),
    ("blob", "blob:http://img.example/1", "scheme"),
    ("no_scheme", "img.example/a.jpg", "scheme"),
    ("scheme_relative", "//img.example/a.jpg", "scheme"),
    ("empty", "", "scheme"),
    ("leading_blank", " http://img.example/", "characters"),
    ("trailing_blank", "http://img.example/ ", "characters"),
    ("inner_blank", "http://img.example/a b", "characters"),
    ("tab_in_host", "http://img\t.example/", "characters"),
    ("newline_in_scheme", "ht\ntp://img.example/", "characters"),
    ("carriage_return", "http://img.example/a\r", "characters"),
    ("header_injection", "http://img.example/a\r\nHost: evil", "characters"),
    ("nul", "http://img.example/a\0", "characters"),
    ("escape", "http://img.example/\x1b[0m", "characters"),
    ("delete", "http://img.example/\x7f", "characters"),
    ("c1_control", "http://img.example/\x85", "characters"),
    ("no_break_space", "http://img.example/\xa0", "characters"),
    ("ideographic_space", "http://img.example/\u3000", "characters"),
    ("line_separator", "http://img.example/\u2028", "characters"),
    ("lone_surrogate", "http://img.example/\ud800", "characters"),
    ("encoded_nul", "http://img.example/a%00.jpg", "characters"),
    ("bom_first", "\ufeffhttp://img.example/", "scheme"),
    ("decimal_address", "http://2130706433/", "ip_literal"),
    ("hex_address", "http://0x7f000001/", "ip_literal"),
    ("hex_part", "http://0x7f.1/", "ip_literal"),
    ("octal_address", "http://0177.0.0.1/", "ip_literal"),
    ("octal_whole", "http://017700000001/", "ip_literal"),
    ("short_address", "http://127.1/", "ip_literal"),
    ("three_part_address", "http://127.0.1/", "ip_literal"),
    ("zero", "http://0/", "ip_literal"),
    ("empty_hex", "http://0x/", "ip_literal"),
    ("leading_zeros", "http://127.000.000.001/", "ip_literal"),
    ("address_with_dot", "http://127.0.0.1./", "ip_literal"),
    ("circled_digits", "http://①.②.③.④/", "ip_literal"),
    ("wide_digits", "http://\uff11\uff12\uff17.0.0.1/", "ip_literal"),
    ("encoded_digits", "http://%31%32%37.0.0.1/", "ip_literal"),
    ("mapped_ipv6", "http://[::ffff:127.0.0.1]/", "ip_literal"),
    ("mapped_ipv6_hex", "http://[::ffff:7f00:1]/", "ip_literal"),
    ("mapped_ipv6_long", "http://[0:0:0:0:0:ffff:127.0.0.1]/", "ip_literal"),
    ("zone_id", "http://[fe80::1%25eth0]/", "unreadable"),
    ("too_big_part", "http://256.1.1.1/", "unreadable"),
    ("five_parts", "http://1.2.3.4.5/", "unreadable"),
    ("too_big_decimal", "http://4294967296/", "unreadable"),
    ("name_ending_in_number", "http://img.1/", "unreadable"),
    ("bad_brackets", "http://[::1/", "unreadable"),
    ("invalid_punycode", "http://xn--a.example/", "unreadable"),
    ("empty_punycode", "http://xn--.example/", "unreadable"),
    ("punycode_of_ascii", "http://xn--img-.example/", "host"),
    ("wide_letters", "http://\uff49\uff4d\uff47.example/", "ambiguous_host"),
    ("soft_hyphen", "http://im\xadg.example/", "ambiguous_host"),
    ("zero_width_joiner", "http://im\u200dg.example/", "unreadable"),
    ("ideographic_dot", "http://img。example/", "ambiguous_host"),
    ("wide_dot", "http://img\uff0eexample/", "ambiguous_host"),
    ("kelvin_sign", "http://\u212a.example/", "ambiguous_host"),
    ("emoji_host", "http://☃.example/", "ambiguous_host"),
    ("encoded_letter", "http://%69mg.example/", "ambiguous_host"),
    ("encoded_dot", "http://img%2eexample/", "ambiguous_host"),
    ("encoded_slash_in_host", "http://img.example%2fevil/", "unreadable"),
    ("encoded_nul_in_host", "http://img%00.example/", "unreadable"),
    ("right_to_left_override", "http://\u202eimg.example/", "unreadable"),
    ("fraction_slash_host", "http://img.example\u2044evil.example/", "ambiguous_host"),
    ("care_of_sign", "http://img\u2100evil.example/", "unreadable"),
    ("missing_slashes", "http:img.example/", "empty_host"),
    ("one_slash", "http:/img.example/", "empty_host"),
    ("three_slashes", "http:///img.example/", "empty_host"),
    ("scheme_alone", "http://", "unreadable"),
    ("port_without_host", "http://:80/", "unreadable"),
    ("empty_label", "http://img..example/", "host"),
    ("leading_dot", "http://.img.example/", "host"),
    ("two_trailing_dots", "http://img.example../", "host"),
    ("long_label", f"http://{'a' * 64}.example/", "host"),
    ("long_host", f"http://{'a.' * 130}example/", "host"),
    ("star_in_host", "http://*.example/", "host"),
    ("exclamation_in_host", "http://img!.example/", "host"),
    ("hyphen_first", "http://-img.example/", "host"),
    ("port_zero", "http://img.example:0/", "port"),
    ("port_too_big", "http://img.example:65536/", "unreadable"),
    ("port_letters", "http://img.example:8o/", "unreadable"),
    ("port_negative", "http://img.example:-80/", "unreadable"),
    ("two_ports", "http://img.example:80:80/", "unreadable"),
    ("too_long", "http://img.example/" + "a" * MAX_URL_BYTES, "too_long"),
    ("too_long_in_bytes", "http://img.example/" + "\u00e9" * (MAX_URL_BYTES // 2), "too_long"),
]


@pytest.mark.parametrize(("raw", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_trick_is_refused(raw: str, reason: str) -> None:
    with pytest.raises(UrlRefusedError) as caught:
        canonical_url(raw)
    assert caught.value.reason == reason


READ = [
    ("plain", "https://img.example.net/a/b.jpg", "https://img.example.net/a/b.jpg", b"/a/b.jpg"),
    ("upper_case_host", "HTTP://IMG.Example/A", "http://img.example/A", b"/A"),
    ("default_port", "https://img.example:443/", "https://img.example/", b"/"),
    ("zero_padded_port", "http://img.example:0080/", "http://img.example/", b"/"),
    ("empty_port", "http://img.example:/", "http://img.example/", b"/"),
    ("other_port", "https://img.example:8443/a", "https://img.example:8443/a", b"/a"),
    ("no_path", "http://img.example", "http://img.example/", b"/"),
    ("trailing_dot", "http://img.example./a", "http://img.example/a", b"/a"),
    ("fragment", "http://img.example/a#b?c", "http://img.example/a", b"/a"),
    ("dot_segments", "http://img.example/a/../b/./c", "http://img.example/b/c", b"/b/c"),
    ("encoded_dot_segments", "http://img.example/a/%2e%2E/b", "http://img.example/b", b"/b"),
    ("dots_above_root", "http://img.example/../../a", "http://img.example/a", b"/a"),
    ("double_slash_kept", "http://img.example//a//b", "http://img.example//a//b", b"//a//b"),
    ("decoded_once", "http://img.example/%2561", "http://img.example/%2561", b"/%61"),
    ("double_encoded_dots", "http://img.example/%252e%252e/a", "http://img.example/%252e%252e/a", b"/%2e%2e/a"),
    ("odd_bytes", "http://img.example/%e9%FF", "http://img.example/%e9%FF", b"/\xe9\xff"),
    ("broken_escape", "http://img.example/100%.jpg", "http://img.example/100%.jpg", b"/100%.jpg"),
    ("encoded_backslash", "http://img.example/a%5Cb", "http://img.example/a%5Cb", b"/a\\b"),
    ("encoded_newline", "http://img.example/a%0Ab", "http://img.example/a%0Ab", b"/a\nb"),
    ("raw_umlaut", "http://img.example/\u00fc", "http://img.example/%C3%BC", b"/\xc3\xbc"),
    ("at_in_path", "http://img.example/@user/1", "http://img.example/@user/1", b"/@user/1"),
    ("colon_in_path", "http://img.example/a:b", "http://img.example/a:b", b"/a:b"),
    ("u_label", "http://fa\u00df.example/", "http://xn--fa-hia.example/", b"/"),
    ("upper_u_label", "http://B\u00dcCHER.example/", "http://xn--bcher-kva.example/", b"/"),
    ("a_label", "http://XN--bcher-kva.example/", "http://xn--bcher-kva.example/", b"/"),
    ("underscore", "http://a_b.example/", "http://a_b.example/", b"/"),
    ("one_label", "http://localhost/a", "http://localhost/a", b"/a"),
    ("zwj_in_path", "http://img.example/\U0001f468\u200d\U0001f469", None, "/\U0001f468\u200d\U0001f469".encode()),
]


@pytest.mark.parametrize(("raw", "url", "path"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_url_is_read_as_browsers_do(raw: str, url: str | None, path: bytes) -> None:
    found = canonical_url(raw)
    assert found.raw == raw
    assert found.path == path
    assert url is None or found.url == url


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        ("http://h.example/a", None),
        ("http://h.example/a?", b""),
        ("http://h.example/a?#f", b""),
        ("http://h.example/a?x=1&&y=%2F+%zz&X=1", b"x=1&&y=%2F+%zz&X=1"),
        ("http://h.example/a?b?c", b"b?c"),
        ("http://h.example/a#?b", None),
        ("http://h.example?@evil.example/", b"@evil.example/"),
        ("http://h.example/a?\\x", b"\\x"),
    ],
)
def test_query_is_kept_byte_for_byte(raw: str, query: bytes | None) -> None:
    found = canonical_url(raw)
    assert (found.host, found.query) == ("h.example", query)
    assert found.url.endswith(found.request_target)


@pytest.mark.parametrize(
    ("raw", "host"), [("http://192.0.2.7/a", "192.0.2.7"), ("http://[2001:DB8:0::7]:8080/a", "2001:db8::7")]
)
def test_plain_address_is_flagged(raw: str, host: str) -> None:
    found = canonical_url(raw)
    assert (found.ip_literal, found.host) == (True, host)
    assert canonical_url(found.url).url == found.url


def test_encoded_slash_is_flagged() -> None:
    assert canonical_url("http://h.example/a%2Fb").encoded_slash
    assert canonical_url("http://h.example/a%2fb").encoded_slash
    assert not canonical_url("http://h.example/a/b?c=%2F").encoded_slash


def test_homograph_is_another_host() -> None:
    assert canonical_url("http://\u0430pple.example/").host == "xn--pple-43d.example"


@given(st.text(max_size=60) | st.text("htp:/\\@.%#?[]0x127aZé。ß\u200d \t\n", max_size=40).map("http://".__add__))
def test_any_text_is_read_or_refused(raw: str) -> None:
    try:
        found = canonical_url(raw)
    except UrlRefusedError:
        return
    _check_shape(found)


@given(
    host=st.lists(st.text(string.ascii_letters + string.digits, min_size=1, max_size=9), min_size=1, max_size=3),
    path=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Z"), exclude_characters="\\?#")),
    query=st.none()
    | st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Z"), exclude_characters="#")),
)
def test_ordinary_url_is_always_read(host: list[str], path: str, query: str | None) -> None:
    raw = f"https://{'.'.join(host)}.example/{path}" + ("" if query is None else f"?{query}")
    if "%00" in path:
        return
    _check_shape(canonical_url(raw))


def _check_shape(found: CanonicalUrl) -> None:
    again = canonical_url(found.url)
    assert (again.url, again.host, again.path, again.query) == (found.url, found.host, found.path, found.query)
    assert found.url.isascii()
    assert found.path.startswith(b"/")
    assert found.raw not in repr(found) or not found.raw


@pytest.mark.parametrize(("raw", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refusal_tells_no_url(raw: str, reason: str) -> None:
    with pytest.raises(UrlRefusedError) as caught:
        canonical_url(raw)
    exc: BaseException | None = caught.value
    assert reason != raw
    while exc is not None:
        assert "img" not in str(exc)
        assert "evil" not in str(exc)
        exc = exc.__cause__


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://img.example.net/a/b.jpg?x#y", "hxxps://img[.]example[.]net/…"),
        ("http://img.example", "hxxp://img[.]example"),
        ("http://img.example/", "hxxp://img[.]example/"),
        ("http://img.example?secret", "hxxp://img[.]example/…"),
        ("http://user:secret@img.example:8080/a", "hxxp://img[.]example:8080/…"),
        ("http://img.example\\@secret/a", "hxxp://img[.]example/…"),
        ("http://[2001:db8::7]/a", "hxxp://[2001:db8::7]/…"),
        ("http://img.<b>example/a", "hxxp://img[.]bexample/…"),
        ("javascript:alert('secret')", "(not a web address)"),
        ("secret", "(not a web address)"),
    ],
)
def test_defang_shows_only_the_host(url: str, shown: str) -> None:
    assert defang(url) == shown
