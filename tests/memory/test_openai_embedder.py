from __future__ import annotations

import base64
import ipaddress
import os
import pickle
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import embedding_server as server_of
from clawstate.errors import EmbeddingError, InvalidError
from clawstate.memory.embedders.address import address_of
from clawstate.memory.embedders.connection import proxy_for
from clawstate.memory.embedders.openai import OpenAIEmbedder
from embedding_server import KEY, serving

NO_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def server():
    with serving() as served:
        yield served


@pytest.fixture
def pauses():
    return []


@pytest.fixture
def make(server, clock, pauses):
    """Return what makes an embedder of the server, whose pauses move the clock."""
    made = []

    def build(**settings):
        def sleep(seconds):
            pauses.append(seconds)
            clock.advance(seconds)

        given = {
            "model": "tiny",
            "base_url": server.url,
            "key": lambda: KEY,
            "clock": clock,
            "now": clock,
            "sleep": sleep,
            "jitter": lambda: 0.5,
            **settings,
        }
        made.append(OpenAIEmbedder(**given))
        return made[-1]

    yield build
    for each in made:
        each.close()


@pytest.fixture
def embedder(make):
    return make()


def rows_of(server, texts):
    return np.vstack([server.unit(text) for text in texts])


def test_texts_become_unit_rows(server, embedder) -> None:
    """Each text gets the server's vector, at length 1, in the order of the texts."""
    texts = ["green tea", "black coffee", "a wing flutters"]

    rows = embedder.embed(texts)

    assert rows.dtype == np.float32
    assert np.allclose(rows, rows_of(server, texts), atol=1e-6)
    (request,) = server.requests
    assert (request.path, request.body["model"]) == ("/v1/embeddings", "tiny")
    assert (embedder.identity.model, embedder.identity.dimensions) == ("openai/tiny", 8)


def test_texts_without_content_are_not_sent(server, make) -> None:
    """A blank text gets zeros, and no request is made for it."""
    embedder = make(dimensions=8)

    assert not embedder.embed(["", " \n"]).any()
    assert embedder.embed([]).shape == (0, 8)
    assert server.requests == []
    assert not embedder.embed(["", "tea"])[0].any()
    assert server.texts == ["tea"]


def test_a_query_is_one_request(server, embedder) -> None:
    """A query gets the vector that a text gets."""
    assert np.array_equal(embedder.embed_query("green tea"), embedder.embed(["green tea"])[0])


@pytest.mark.parametrize(
    "answer",
    [
        server_of.changed(list.reverse),
        server_of.changed(lambda items: [{"embedding": each["embedding"]} for each in items]),
        server_of.gzipped,
        server_of.chunked,
        server_of.changed(lambda items: [{**each, "more": {"deep": [None]}} for each in items]),
    ],
)
def test_right_answers_in_any_form_are_read(server, embedder, answer) -> None:
    """The order of `index` counts, or that of the answer; gzip, chunks, further fields are read."""
    server.answers.append(answer)
    texts = [f"text {number}" for number in range(20)]

    assert np.allclose(embedder.embed(texts), rows_of(server, texts), atol=1e-6)


def test_vectors_in_base64_are_read(server, make) -> None:
    """Vectors may come as bytes in base64, whatever was asked for."""
    server.answers.append(
        server_of.of_vector(lambda row: base64.b64encode(np.array(row, "<f4").tobytes()).decode())
    )

    assert np.allclose(make().embed(["tea"]), rows_of(server, ["tea"]), atol=1e-6)


def test_only_the_provider_is_asked_for_base64(make) -> None:
    """Servers of others are asked for numbers, which all of them know."""
    assert b'"float"' in make()._body(["tea"])
    assert b'"base64"' in OpenAIEmbedder()._body(["tea"])


def test_many_texts_are_several_requests(server, embedder) -> None:
    """No request has more than 128 texts, or more bytes than a provider takes."""
    texts = [f"text {number}" for number in range(300)] + ["word " * 3000] * 20

    rows = embedder.embed(texts)

    assert np.allclose(rows, rows_of(server, texts), atol=1e-6)
    assert max(len(each.texts) for each in server.requests) <= 128
    assert max(sum(map(len, each.texts)) for each in server.requests) <= 200_000


def test_a_long_text_counts_to_its_end(server, embedder) -> None:
    """A text beyond what a model reads is embedded in parts, none of it lost."""
    text = "lorem ipsum " * 5000 + "lobster"

    (row,) = embedder.embed([text])

    assert "".join(server.texts).count("lobster") == 1
    assert max(map(len, server.texts)) <= 16_000
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)


def test_a_text_that_a_server_finds_too_long_is_cut(server, embedder) -> None:
    """Of a batch that is refused for one text the others get theirs, and that one by its parts."""

    def short_of_breath(handler, request):
        if any(len(text) > 700 for text in request.texts):
            server_of.status(400, message="maximum context length is 128 tokens")(handler, request)
        else:
            server.right(handler, request)

    server.always = short_of_breath
    texts = ["tea", "word " * 400, "coffee"]

    rows = embedder.embed(texts)

    assert np.allclose(rows[[0, 2]], rows_of(server, ["tea", "coffee"]), atol=1e-6)
    assert rows[1] @ server.unit("word") == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_what_passes_is_asked_again(server, embedder, pauses, status) -> None:
    """After an answer that says "later" it is asked again, each pause up to twice as long."""
    server.answers.extend([server_of.status(status)] * 3)

    assert np.allclose(embedder.embed(["tea"]), rows_of(server, ["tea"]), atol=1e-6)
    assert pauses == [0.25, 0.5, 1.0]  # half of 0.5, 1 and 2


@pytest.mark.parametrize("form", ["seconds", "date", "milliseconds"])
def test_the_server_says_when(server, embedder, pauses, clock, form) -> None:
    """It is never asked again before `Retry-After`, in seconds or as a date."""
    header = {
        "seconds": ("Retry-After", "7"),
        "date": ("Retry-After", formatdate(clock() + 7, usegmt=True)),
        "milliseconds": ("Retry-After-Ms", "7000"),
    }[form]
    server.answers.append(server_of.status(429, header))

    embedder.embed(["tea"])

    assert pauses == [pytest.approx(7.25)]


@pytest.mark.parametrize("after", ["soon", "-3", "", "Sat, 99 Foo 2026", "nan"])
def test_a_senseless_date_asks_for_nothing(server, embedder, pauses, after) -> None:
    """A `Retry-After` that cannot be read counts as none."""
    server.answers.append(server_of.status(503, ("Retry-After", after)))

    embedder.embed(["tea"])

    assert pauses == [0.25]


def test_what_comes_too_late_is_not_waited_for(server, embedder, pauses) -> None:
    """A pause beyond the deadline is an error at once, and the server is left alone so long."""
    server.answers.append(server_of.status(429, ("Retry-After", "600")))

    with pytest.raises(EmbeddingError, match="answers 429"):
        embedder.embed(["tea"])
    with pytest.raises(EmbeddingError, match="answers 429"):
        embedder.embed(["tea"])

    assert (pauses, len(server.requests), embedder.is_resting) == ([], 1, True)


@pytest.mark.parametrize(
    "answer",
    [
        server_of.cut_in_mid_body,
        server_of.truncated,
        server_of.reset,
        server_of.cut_gzip,
        server_of.cut_chunks,
        server_of.body(b"[1, 2"),
        server_of.body(b"not gzip", ("Content-Encoding", "gzip")),
    ],
)
def test_what_was_cut_off_is_asked_again(server, embedder, answer) -> None:
    """A connection or an answer that is cut off anywhere costs a repetition, and no error."""
    server.answers.append(answer)

    assert np.allclose(embedder.embed(["tea"]), rows_of(server, ["tea"]), atol=1e-6)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (server_of.html, "a page of HTML"),
        (server_of.body(b"{}"), "no vectors"),
        (server_of.body(b"[]"), "no vectors"),
        (server_of.body(b'{"data": [1]}'), "no vectors"),
        (server_of.changed(lambda items: items[:-1]), "1 vector for 2 texts"),
        (server_of.changed(lambda items: [*items, items[0]]), "3 vectors for 2 texts"),
        (server_of.changed(lambda items: [{**each, "index": 0} for each in items]), "numbers"),
        (server_of.changed(lambda items: [{**each, "index": 9} for each in items]), "numbers"),
        (server_of.changed(lambda items: [{**each, "index": True} for each in items]), "numbers"),
        (server_of.of_vector(lambda row: row[:-1]), "7 dimensions, not 8"),
        (server_of.status(404, message="no such model"), "404: no such model"),
    ],
)
def test_wrong_answers_are_told(server, make, answer, said) -> None:
    """What is no right answer is an error that says what is wrong, and where; nothing is kept."""
    server.always = answer
    embedder = make(dimensions=8)

    with pytest.raises(EmbeddingError, match=said) as caught:
        embedder.embed(["tea", "coffee"])

    assert f"127.0.0.1:{server.port}/v1/embeddings" in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "make_vector",
    [
        lambda row: [float("nan"), *row[1:]],
        lambda row: [float("inf"), *row[1:]],
        lambda row: [0.0] * len(row),
        lambda row: [10**400, *row[1:]],
        lambda row: ["1", *row[1:]],
        lambda row: [True, *row[1:]],
        lambda row: [row],
        lambda _: [],
        lambda _: None,
        lambda _: "no base64!",
        lambda _: "AAAA",
        lambda _: {"0": 1},
    ],
)
def test_no_vector_is_never_taken_for_one(server, make, make_vector) -> None:
    """A vector of zeros, NaN or anything but numbers is an error, and the server goes on."""
    server.always = server_of.of_vector(make_vector)
    embedder = make(dimensions=8)

    with pytest.raises(EmbeddingError):
        embedder.embed(["tea"])
    assert not embedder.is_resting


def test_a_slow_server_is_given_up(server, make) -> None:
    """No answer within the deadline is an error, also where single bytes come all the time."""
    for answer in (server_of.silent, server_of.dripping):
        server.always = answer
        embedder = make(clock=time.monotonic, query_timeout=0.2, jitter=lambda: 1.0)

        with pytest.raises(EmbeddingError, match="did not answer in time"):
            embedder.embed_query("tea")


def test_a_server_that_is_down_is_left_alone(server, make, clock) -> None:
    """After a failure nobody asks for a while, then one does; when that works, all do."""
    embedder = make(dimensions=8)
    server.always = server_of.status(500)
    with pytest.raises(EmbeddingError):
        embedder.embed_query("tea")
    asked = len(server.requests)

    with pytest.raises(EmbeddingError):
        embedder.embed_query("tea")
    assert len(server.requests) == asked

    clock.advance(30)
    server.always = None
    assert embedder.embed_query("tea").any()
    assert not embedder.is_resting


def test_the_rest_grows(server, make, clock) -> None:
    """The longer a server is down, the seldomer it is asked."""
    embedder = make(dimensions=8)
    server.always = server_of.status(500)
    rests = []
    for _ in range(5):
        with pytest.raises(EmbeddingError):
            embedder.embed_query("tea")
        begun = clock()
        while embedder.is_resting:
            clock.advance(1)
        rests.append(clock() - begun)

    assert rests == [5, 15, 60, 300, 300]


def test_no_server_is_told(make) -> None:
    """A port that nobody listens on is an error that names the address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(EmbeddingError, match=f"127.0.0.1:{port}.*refused"):
        make(base_url=f"http://127.0.0.1:{port}/v1").embed(["tea"])


def test_a_host_without_an_address_is_told(make) -> None:
    """A name that nobody knows is an error."""
    with pytest.raises(EmbeddingError, match=r"nowhere\.invalid"):
        make(base_url="https://nowhere.invalid/v1").embed(["tea"])


def frames_of(error):
    """Return all that is in an error, its causes, and the local names of frames but our own."""
    told = []
    while error is not None:
        told += [repr(error), str(error), repr(getattr(error, "__dict__", {}))]
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename != __file__:
                told += [f"{name} = {value!r}" for name, value in trace.tb_frame.f_locals.items()]
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return "\n".join(told)


@pytest.mark.parametrize(
    "answer",
    [
        server_of.status(401, message=f"Incorrect API key provided: {KEY}"),
        server_of.status(403, message=KEY[:12]),
        server_of.status(400, message=f"the header said Bearer {KEY}"),
        server_of.status(404, message=f"key {KEY} has no such model"),
        server_of.status(500, message=KEY),
        server_of.status(307, ("Location", f"https://elsewhere.example/?key={KEY}")),
        server_of.body(KEY.encode()),
        server_of.reset,
        server_of.silent,
    ],
)
def test_the_key_is_never_shown(server, make, answer, capfd, caplog) -> None:
    """No error, none of its causes, no name in a frame of it, no output holds the key."""
    server.always = answer
    embedder = make(dimensions=8, timeout=0.3, clock=time.monotonic, jitter=lambda: 0)

    with pytest.raises(EmbeddingError) as caught:
        embedder.embed(["tea"])

    shown = frames_of(caught.value) + repr(embedder) + repr(vars(embedder)) + caplog.text
    assert KEY not in shown + "".join(capfd.readouterr())
    assert KEY[:12] not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.fixture
def interruptible():
    """Let SIGINT raise `KeyboardInterrupt`; started in the background, a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_shows_no_key(server, make) -> None:
    """An interrupt while the server is waited for has no key in its frames."""
    server.always = server_of.silent
    embedder = make(clock=time.monotonic)
    waker = threading.Thread(
        target=lambda: (_requested(server), os.kill(os.getpid(), signal.SIGINT))
    )
    waker.start()

    with pytest.raises(KeyboardInterrupt) as caught:
        embedder.embed(["tea"])

    waker.join()
    assert KEY not in frames_of(caught.value)
    server.always = None
    server.released.set()
    assert embedder.embed(["tea"]).any()


def _requested(server):
    ends = 0
    while not server.requests and ends < 2000:
        ends += 1
        threading.Event().wait(0.01)


@pytest.mark.parametrize("key", ["sk-two\nlines", "sk-\x00", "sk-schlüssel", "sk-\u2028x"])
def test_a_key_that_cannot_be_sent_is_not_shown(server, make, key) -> None:
    """A key with signs that no header may have is refused without being repeated or sent."""
    with pytest.raises(EmbeddingError, match="signs that no key has") as caught:
        make(key=lambda: key, dimensions=8).embed(["tea"])

    assert key not in frames_of(caught.value)
    assert server.requests == []


def test_a_key_may_change(server, make) -> None:
    """A key that the server refuses is asked for again, once."""
    keys = ["sk-old-and-void", KEY]
    embedder = make(key=lambda: keys.pop(0) if len(keys) > 1 else keys[0])

    assert embedder.embed(["tea"]).any()
    assert [each.headers["Authorization"] for each in server.requests] == [
        "Bearer sk-old-and-void",
        f"Bearer {KEY}",
    ]


def test_a_refused_key_is_told_and_not_tried_on(server, make) -> None:
    """A wrong key is one request and an error."""
    with pytest.raises(EmbeddingError, match="refuses the key"):
        make(key=lambda: "sk-wrong").embed(["tea"])

    assert len(server.requests) == 1


def test_no_credit_is_not_tried_on(server, embedder) -> None:
    """An account without money is one request, and an error that says so."""
    server.always = server_of.status(429, error_code="insufficient_quota")

    with pytest.raises(EmbeddingError, match="no credit"):
        embedder.embed(["tea"])

    assert len(server.requests) == 1


def test_a_server_may_want_no_key(make) -> None:
    """Without a key no header is sent."""
    with serving(key=None) as open_server:
        assert make(base_url=open_server.url, key=lambda: None).embed(["tea"]).any()


def test_a_redirect_on_the_same_server_is_followed(server, embedder) -> None:
    """A redirect that keeps the method is followed where it leads to the same server."""
    server.answers.append(server_of.status(308, ("Location", "/v2/embeddings")))

    assert embedder.embed(["tea"]).any()
    assert [each.path for each in server.requests] == ["/v1/embeddings", "/v2/embeddings"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_goes_to_no_other_host(server, embedder, status) -> None:
    """A redirect to another server, port or scheme is an error, and nothing is sent there."""
    with serving() as other:
        for location in (f"http://127.0.0.1:{other.port}/v1/embeddings", "https://127.0.0.1/"):
            server.always = server_of.status(status, ("Location", location))
            with pytest.raises(EmbeddingError, match="sends on"):
                embedder.embed(["tea"])
            embedder._circuit.close()
        assert other.requests == []


def test_redirects_in_a_circle_end(server, embedder) -> None:
    """A server that sends on again and again is given up."""
    server.always = server_of.status(307, ("Location", "/v1/embeddings"))

    with pytest.raises(EmbeddingError, match="again and again"):
        embedder.embed(["tea"])


def test_a_connection_is_used_again(server, embedder) -> None:
    """Requests share a connection, and one that the server closed costs nothing."""
    for _ in range(3):
        embedder.embed(["tea"])
    assert server.connections == 1

    embedder._endpoint._idle[0][-1].abort()

    embedder.embed(["tea"])
    assert (server.connections, len(server.requests)) == (2, 4)


def test_threads_share_an_embedder(server, embedder) -> None:
    """Threads that embed at once get the vectors of their own texts."""
    texts = [f"text number {number}" for number in range(40)]

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(embedder.embed_query, texts))

    assert np.allclose(np.vstack(rows), rows_of(server, texts), atol=1e-6)


def test_close_wakes_who_waits(server, make) -> None:
    """Closing ends a request that is under way, and nothing is sent afterwards."""
    server.always = server_of.silent
    embedder = make(clock=time.monotonic)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(embedder.embed, ["tea"])
        _requested(server)
        embedder.close()
        with pytest.raises(EmbeddingError):
            waiting.result(10)

    with pytest.raises(EmbeddingError):
        embedder.embed(["tea"])
    assert len(server.requests) == 1


def test_dimensions_are_sent_where_they_are_given(server, make) -> None:
    """A length that is asked for goes to the server; none is sent else."""
    make(dimensions=8).embed(["tea"])
    make().embed(["tea"])

    assert [each.body.get("dimensions") for each in server.requests] == [8, None]


@pytest.mark.parametrize(
    ("model", "dimensions", "price"),
    [("text-embedding-3-small", 1536, 0.02), ("text-embedding-3-large", 3072, 0.13)],
)
def test_models_of_the_provider_are_known(model, dimensions, price) -> None:
    """The length of the provider's vectors, and their price, are known without asking."""
    embedder = OpenAIEmbedder(model)

    assert (embedder.identity.dimensions, embedder.price) == (dimensions, price)
    assert (embedder.is_local, embedder.place) == (False, "https://api.openai.com/v1/embeddings")


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1/embeddings"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/embeddings"),
        ("http://localhost:11434", "http://localhost:11434/v1/embeddings"),
        ("http://[::1]:8080/", "http://[::1]:8080/v1/embeddings"),
        ("https://host/a/embeddings", "https://host/a/embeddings"),
        ("https://host/a?version=1", "https://host/a/embeddings"),
    ],
)
def test_addresses_are_completed(url, meant) -> None:
    """An address means the resource `embeddings` there, below `/v1` where it has no path."""
    assert str(address_of(url)) == meant


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com/v1",
        "ftp://host/v1",
        "https://",
        "https://user:hunter2@host/v1",
        "https://hunter2@host/v1",
        "https://host:99999/v1",
        "https://host:port/v1",
        "https://ho st/hunter2",
        "https://host/\nhunter2",
        "https://hööst/hunter2",
    ],
)
def test_what_is_no_address_is_refused(url) -> None:
    """What cannot be an address, or holds a password, is refused and not repeated."""
    with pytest.raises(InvalidError, match="baseUrl") as caught:
        OpenAIEmbedder(base_url=url)

    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"


@pytest.mark.parametrize("url", ["http://93.184.216.34/v1", "http://[2606:2800::1]/v1"])
def test_plain_http_stays_near(make, url) -> None:
    """Over plain HTTP only this machine and its private network are asked."""
    with pytest.raises(EmbeddingError, match="plain HTTP"):
        make(base_url=url).embed(["tea"])


def test_proxies_of_the_environment_are_used(monkeypatch) -> None:
    """HTTPS goes through the proxy that is set, but for hosts that are excepted, and this one."""
    for name in NO_PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "inner.example")

    found = proxy_for(address_of("https://api.openai.com/v1"))

    assert (found.hostname, found.port) == ("proxy", 3128)
    assert proxy_for(address_of("https://inner.example/v1")) is None
    assert proxy_for(address_of("https://127.0.0.1/v1")) is None
    assert proxy_for(address_of("http://host/v1")) is None


def test_a_proxy_is_asked_for_a_tunnel(make, monkeypatch) -> None:
    """A proxy is told the host and its own password, and never the key or the texts."""
    for name in NO_PROXIES:
        monkeypatch.delenv(name, raising=False)
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse():
            opened, _ = proxy.accept()
            with opened:
                heard.append(opened.recv(65536))
                opened.sendall(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{proxy.getsockname()[1]}")
        with pytest.raises(EmbeddingError, match="the proxy answers 407") as caught:
            make(base_url="https://api.openai.com/v1", jitter=lambda: 1e9).embed(["tea"])
        thread.join()

    assert heard[0].startswith(b"CONNECT api.openai.com:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" in heard[0]
    assert KEY.encode() not in heard[0]
    assert "secret" not in str(caught.value)


@pytest.fixture
def certificate(tmp_path):
    """Return the file of a key and a certificate for 127.0.0.1 that nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    begin = datetime.now(UTC) - timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=9))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, *form)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def test_certificates_are_checked(make, certificate, monkeypatch) -> None:
    """A server whose certificate nobody signed gets nothing; with `SSL_CERT_FILE` it is asked."""
    with serving(certificate=certificate) as secured:
        with pytest.raises(EmbeddingError, match="certificate"):
            make(base_url=secured.url).embed(["tea"])
        assert secured.requests == []

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        embedder = make(base_url=secured.url)
        assert embedder.embed(["tea"]).any()
        assert embedder.embed_query("tea").any()
        assert len(secured.requests) == 2
