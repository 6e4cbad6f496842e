"""The one door to the network: TLS with verification, names and resumed sessions, and proxies."""

import base64
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_desk import RunningDesk, ask, ok
from tls import Authority, TlsProviders
from wire import Message, Peer, Providers, eventually

from majordomo.forward.connect import ConnectFailedError, Proxy, proxy_for
from majordomo.forward.providers import Origin
from majordomo.record.frames import Outcome

MODELS = "/v1/models"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxy_but_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def encrypted(authority: Authority) -> Iterator[TlsProviders]:
    """A provider with a certificate for localhost and 127.0.0.1."""
    answering = TlsProviders(authority.context("localhost", "127.0.0.1"))
    yield answering
    answering.close()


@pytest.fixture
def trusting(open_desk: Callable[..., RunningDesk], authority: Authority) -> Callable[[str], RunningDesk]:
    """A desk that trusts the test's authority, with OpenAI at a URL."""

    def make(url: str) -> RunningDesk:
        return open_desk(upstream_ca_file=authority.ca_file, providers={"openai": {"base_url": url}})

    return make


def refused(desk: RunningDesk, providers: TlsProviders) -> Message:
    """The answer to a request whose provider's certificate is not accepted."""
    caller = desk.dial()
    caller.send(ask(MODELS))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        providers.accept().read(1)
    reply = caller.reply()
    assert reply.status == 502
    assert b"certificate was not accepted" in reply.body
    assert desk.closed_row().outcome is Outcome.PROVIDER_BROKE
    return reply


def test_a_certificate_of_an_unknown_authority_is_refused_with_the_reason(
    open_desk: Callable[..., RunningDesk], encrypted: TlsProviders
) -> None:
    reply = refused(open_desk(providers={"openai": {"base_url": f"https://localhost:{encrypted.port}"}}), encrypted)
    assert b"unable to get local issuer certificate" in reply.body


def test_a_certificate_for_another_name_is_refused(
    trusting: Callable[[str], RunningDesk], authority: Authority
) -> None:
    providers = TlsProviders(authority.context("elsewhere.test"))
    reply = refused(trusting(f"https://localhost:{providers.port}"), providers)
    assert b"localhost" in reply.body
    providers.close()


def test_a_certificate_that_has_run_out_is_refused(
    trusting: Callable[[str], RunningDesk], authority: Authority
) -> None:
    providers = TlsProviders(authority.context("localhost", days=-1))
    reply = refused(trusting(f"https://localhost:{providers.port}"), providers)
    assert b"expired" in reply.body
    providers.close()


def test_a_provider_that_does_not_speak_tls_is_502(
    trusting: Callable[[str], RunningDesk], providers: Providers
) -> None:
    desk = trusting(f"https://localhost:{providers.port}")
    caller = desk.dial()
    caller.send(ask(MODELS))
    providers.accept().send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert caller.reply().status == 502


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_trusted_provider_is_served_over_tls_and_told_the_name_it_is_asked_for(
    trusting: Callable[[str], RunningDesk], encrypted: TlsProviders, host: str
) -> None:
    desk = trusting(f"https://{host}:{encrypted.port}")
    caller = desk.dial()
    caller.send(ask(MODELS))
    provider = encrypted.accept()
    assert provider.request().values("Host") == [f"{host}:{encrypted.port}"]
    provider.send(ok(b"x" * 300_000))
    assert caller.reply().body == b"x" * 300_000
    assert encrypted.names_asked == [host if host == "localhost" else None]
    for _ in range(2):
        caller.send(ask(MODELS))
        provider.request()
        provider.send(ok())
        assert caller.reply().status == 200
    assert desk.call(lambda: desk.pool.opened) == 1


def test_a_second_connection_resumes_the_session_of_the_first(
    trusting: Callable[[str], RunningDesk], encrypted: TlsProviders
) -> None:
    desk = trusting(f"https://localhost:{encrypted.port}")
    caller = desk.dial()
    for _ in range(3):
        caller.send(ask(MODELS))
        provider = encrypted.serve(ok())
        assert caller.reply().status == 200
        provider.hang_up()
        eventually(lambda: desk.call(lambda: desk.pool.resting) == 0)
    assert encrypted.resumed == [False, True, True]


def test_large_bodies_and_streams_go_through_tls_both_ways(
    trusting: Callable[[str], RunningDesk], encrypted: TlsProviders
) -> None:
    desk = trusting(f"https://localhost:{encrypted.port}")
    caller = desk.dial()
    body = bytes(range(256)) * 8000
    caller.send(ask("/v1/embeddings", body=body))
    provider = encrypted.accept()
    assert provider.request().body == body
    provider.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    caller.head()
    for _ in range(5):
        provider.send(b"5\r\nhello\r\n")
        caller.expect(b"5\r\nhello\r\n")
    provider.send(b"0\r\n\r\n")
    caller.expect(b"0\r\n\r\n")


def test_a_provider_that_breaks_off_under_tls_is_told_apart(
    trusting: Callable[[str], RunningDesk], encrypted: TlsProviders
) -> None:
    desk = trusting(f"https://localhost:{encrypted.port}")
    caller = desk.dial()
    caller.send(ask(MODELS))
    provider = encrypted.accept()
    provider.request()
    provider.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
    caller.head()
    caller.expect(b"hello")
    provider.reset()
    caller.assert_ended()
    assert desk.closed_row().outcome is Outcome.PROVIDER_BROKE


# -- proxies --------------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> Providers:
    """A proxy for everything, that the test plays; credentials in its URL."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://us%40er:p%3Ass@127.0.0.1:{providers.port}")
    return providers


def tunnel(proxy: Providers, target: str) -> Peer:
    """Take the desk's next connection as a proxy, up to its answer."""
    peer = proxy.accept()
    head = Message(peer.head(), b"")
    assert head.start == f"CONNECT {target} HTTP/1.1".encode()
    assert head.value("Host") == target
    assert head.value("Proxy-Authorization") == "Basic " + base64.b64encode(b"us@er:p:ss").decode()
    return peer


def test_a_provider_is_reached_through_the_proxys_tunnel_with_tls_inside(
    trusting: Callable[[str], RunningDesk], authority: Authority, proxy: Providers
) -> None:
    desk = trusting("https://provider.test")
    inside = TlsProviders(authority.context("provider.test"))
    caller = desk.dial()
    caller.send(ask(MODELS))
    peer = tunnel(proxy, "provider.test:443")
    peer.send(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
    provider = inside.secure(peer._socket)
    got = provider.request()
    assert got.values("Host") == ["provider.test"]
    assert got.values("Proxy-Authorization") == []
    assert inside.names_asked == ["provider.test"]
    provider.send(ok(b"[1]"))
    assert caller.reply().body == b"[1]"
    caller.send(ask(MODELS))  # the tunnel is kept like any connection
    provider.request()
    provider.send(ok(b"[2]"))
    assert caller.reply().body == b"[2]"
    inside.close()


def test_the_certificate_inside_a_tunnel_is_verified(
    trusting: Callable[[str], RunningDesk], authority: Authority, proxy: Providers
) -> None:
    desk = trusting("https://provider.test")
    inside = TlsProviders(authority.context("elsewhere.test"))
    caller = desk.dial()
    caller.send(ask(MODELS))
    peer = tunnel(proxy, "provider.test:443")
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        inside.secure(peer._socket).read(1)
    reply = caller.reply()
    assert reply.status == 502
    assert b"certificate was not accepted" in reply.body
    inside.close()


def test_a_plain_provider_is_reached_through_a_tunnel_too(
    trusting: Callable[[str], RunningDesk], proxy: Providers
) -> None:
    desk = trusting("http://provider.test:8080")
    caller = desk.dial()
    caller.send(ask(MODELS, "Proxy-Authorization: Basic callers"))
    peer = tunnel(proxy, "provider.test:8080")
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
    assert peer.request().values("Host") == ["provider.test:8080"]
    peer.send(ok(b"[1]"))
    assert caller.reply().body == b"[1]"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "407"),
        (b"HTTP/1.1 503 No\r\n\r\n", "503"),
        (b"garbage\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "too long"),
        (b"", "closed the connection"),
    ],
)
def test_a_proxy_that_makes_no_tunnel_is_502_that_says_so_without_credentials(
    trusting: Callable[[str], RunningDesk], proxy: Providers, answer: bytes, says: str
) -> None:
    desk = trusting("https://provider.test")
    caller = desk.dial()
    caller.send(ask(MODELS))
    peer = tunnel(proxy, "provider.test:443")
    peer.send(answer) if answer else peer.hang_up()
    reply = caller.reply()
    assert reply.status == 502
    assert says in reply.body.decode()
    assert b"p:ss" not in reply.body
    assert b"p%3Ass" not in reply.body
    if answer:
        peer.rest()


def test_a_proxy_that_never_answers_is_given_up(open_desk: Callable[..., RunningDesk], proxy: Providers) -> None:
    desk = open_desk(providers={"openai": {"base_url": "https://provider.test"}}, upstream_connect_timeout=0.2)
    caller = desk.dial()
    caller.send(ask(MODELS))
    peer = tunnel(proxy, "provider.test:443")
    assert b"no connection within 0.2 s" in caller.reply().body
    peer.assert_ended()


def test_loopback_never_goes_through_a_proxy(desk: RunningDesk, caller: Peer, proxy: Providers) -> None:
    caller.send(ask(MODELS))
    provider = proxy.accept()  # it is the provider at the same address here, and is asked as such
    assert provider.request().start == b"GET /v1/models HTTP/1.1"
    provider.send(ok())
    assert caller.reply().status == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_what_loopback_is(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:3128")
    assert proxy_for(Origin(host, 443, True)) is None


@pytest.mark.parametrize("host", ["localhost.test", "127.test", "localhosts", "10.0.0.1", "::2", "provider.test"])
def test_what_loopback_is_not(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.test:3128")
    assert proxy_for(Origin(host, 443, True)) == Proxy("proxy.test", 3128, None)


@pytest.mark.parametrize(
    ("excepted", "host", "proxied"),
    [
        ("provider.test", "provider.test", False),
        (".test", "api.provider.test", False),
        ("provider.test:443", "provider.test", False),
        ("provider.test:8443", "provider.test", True),
        ("*", "provider.test", False),
        ("other.test", "provider.test", True),
        ("", "provider.test", True),
    ],
)
def test_no_proxy_excepts_hosts(monkeypatch: pytest.MonkeyPatch, excepted: str, host: str, proxied: bool) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert (proxy_for(Origin(host, 443, True)) is not None) == proxied


def test_each_scheme_has_its_own_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://secure.test")
    monkeypatch.setenv("http_proxy", "http://plain.test:8080")
    assert proxy_for(Origin("provider.test", 443, True)) == Proxy("secure.test", 80, None)
    assert proxy_for(Origin("provider.test", 80, False)) == Proxy("plain.test", 8080, None)


def test_a_kind_of_proxy_that_is_not_spoken_is_named_without_its_credentials(
    monkeypatch: pytest.MonkeyPatch, trusting: Callable[[str], RunningDesk]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://user:secret@proxy.test:1080")
    with pytest.raises(ConnectFailedError, match="must be an http:// URL"):
        proxy_for(Origin("provider.test", 443, True))
    caller = trusting("https://provider.test").dial()
    caller.send(ask(MODELS))
    reply = caller.reply()
    assert reply.status == 502
    assert b"secret" not in reply.body


def test_a_proxy_url_with_an_impossible_port_is_502(
    monkeypatch: pytest.MonkeyPatch, trusting: Callable[[str], RunningDesk]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:99999")
    caller = trusting("https://provider.test").dial()
    caller.send(ask(MODELS))
    assert caller.reply().status == 502


def test_a_unix_socket_is_connected_to(open_desk: Callable[..., RunningDesk], short_tmp: Path) -> None:
    """The back office answers on one."""
    import socket

    desk = open_desk()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(desk.back_office_socket))
        listening.listen()
        listening.settimeout(5)
        caller = desk.dial()
        caller.send(ask("/api/v1/keys?x=1", "X-Majordomo-Session: s"))
        connection, _ = listening.accept()
        back_office = Peer(connection)
        got = back_office.request()
        assert got.start == b"GET /api/v1/keys?x=1 HTTP/1.1"
        assert got.value("X-Majordomo-Key") is not None
        back_office.send(ok(b"[]"))
        assert caller.reply().body == b"[]"
        back_office.hang_up()
    assert desk.rows(closed=0) == []
