"""The faults of providers, U1 to U24: a test for each row that no other test shows (README.md has the table of all).

SPDX-License-Identifier: MIT
"""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest
from harness.doors import RESET, STREAM_HEAD, chunk, completion, event, whole
from harness.faults import broke_off, came_from_b, code_of, ends, events_of, place
from harness.gateway import free_port

OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
FINE = json.dumps(completion()).encode()
TEXT, FINISH, DONE = event({"role": "assistant", "content": "fine"}), event({}, "stop"), chunk(b"data: [DONE]\n\n")
USAGE = event(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 5})
LAST = b"0\r\n\r\n"
PRICE = (7 * 1 + 5 * 2) * 500  # nano-EUR of 7 and 5 tokens at a
LONG = "word " * 4000


def pings(*piece):
    """A stream that began, and then for ever only this."""
    def answer(body):
        yield STREAM_HEAD
        yield TEXT
        while True:
            yield from piece
            yield 0.1
    return answer


def endless(body):
    yield STREAM_HEAD
    while True:
        yield TEXT
        yield 0.1


def storm(body):
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n" * 10


def drip(head, piece):
    def answer(body):
        yield head
        while True:
            yield 0.2
            yield piece
    return answer


def refused(status, body, *fields):
    return [whole(body, f"{status} Sorry", fields)]


def error(code, message="scripted"):
    return {"error": {"message": message, "type": "x", "code": code}}


def usage(tokens, text="fine"):
    return [whole(completion(text, usage=tokens))]


ANSWERS = {
    "u4": [60], "u5": [OK_HEAD + b"Content-Length: %d\r\n\r\n" % len(FINE) + FINE[:80], RESET],
    "u6": [STREAM_HEAD, TEXT, 0.1, RESET],
    "u7-comments": pings(chunk(b": ping\n\n")), "u7-empty": pings(chunk(b"data:\n\n")), "u7-nothing": pings(event()),
    "u7-named": pings(chunk(b"event: ping\ndata: {}\n\n")), "u7-endless": endless,
    "u8": [STREAM_HEAD, TEXT, FINISH, USAGE, LAST],
    "u9": [whole(completion(usage=None))], "u9-stream": [STREAM_HEAD, TEXT, FINISH, DONE, LAST],
    "u10-negative": usage((-7, -5)), "u10-window": usage((7, 10**9)), "u10-little": usage((7, 5), LONG),
    "u10-plain": usage((7, 1300), LONG),
    "u11": [whole(b"<html>fine</html>")],
    "u12": [STREAM_HEAD, TEXT, chunk(b"data: {\n\n"), FINISH, DONE, LAST],
    "u13": [whole(b"\x1f\x8b\x08\x00" + b"x" * 500, fields=["Content-Encoding: gzip"])],
    "u14": [STREAM_HEAD, TEXT, chunk(b"data: " + b"a" * (10 << 20) + b"\n\n"), DONE, LAST],
    "u16": refused(429, error("insufficient_quota", "You exceeded your current quota")),
    "u17": refused(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "u17-stream": [STREAM_HEAD, event({"role": "assistant", "content": ""}),
                   chunk(b'data: {"error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'), LAST],
    "u18": refused(401, error("invalid_api_key", "Incorrect API key provided: sk-MARKED-hint")),
    "u19": refused(400, error("context_length_exceeded", "too long here")),
    "u20-1xx": storm, "u20-103": [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", whole(FINE)],
    "u20-302": [whole(b"", "302 Found", ["Location: http://127.0.0.1:1/"])],
    "u20-304": [b"HTTP/1.1 304 Not Modified\r\n\r\n"],
    "u21": drip(OK_HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "u21-stream": drip(STREAM_HEAD + TEXT + chunk(b"data: "), chunk(b"d")),
    "u22-head": [b"HTTP/1.1 200 OK\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n" + FINE],
    "u22-lengths": [OK_HEAD + b"Content-Length: %d\r\nContent-Length: 5\r\n\r\n" % len(FINE) + FINE],
    "u22-0.9": [b"hello"],
    "u23": [whole(completion(model="quite-another"))],
    "u23-choices": [whole(completion(choices=[{"index": i, "message": {"role": "assistant", "content": "fine"},
                                               "finish_reason": "stop"} for i in range(2)]))],
    "u24-alone": [RESET],
}
WAITS = [("7", 7), ("31536000", 60), ("soon", 1), ("Wed, 21 Oct 2099 07:28:00 GMT", 60), ("Wed, 21 Oct 2015 07:28:00 GMT", 1)]
for _i, (_value, _) in enumerate(WAITS):
    ANSWERS[f"u15-{_i}"] = ANSWERS[f"u15-{_i}-alone"] = refused(429, error("rate"), f"Retry-After: {_value}")


@contextlib.contextmanager
def tls_server(folder, name):
    """Someone who has a certificate that nobody signed. Counts what came in behind a handshake."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, cert = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server, came = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        while True:
            try:
                plain, _ = server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), plain:
                plain.settimeout(2)
                came.append(context.wrap_socket(plain, server_side=True).recv(1000))
    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1], came
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture(scope="module")
def faults(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    with tls_server(folder, "somebody.else") as (tls, came), socket.create_server(("127.0.0.1", 0)) as silent:
        stall = silent.getsockname()[1]
        gone = f"http://127.0.0.1:{free_port()}/v1"
        urls = {"u1": gone, "u1-alone": gone, "u2": "http://no-such-host.invalid/v1", "u3": f"https://127.0.0.1:{tls}/v1",
                "u3-stall": f"https://127.0.0.1:{stall}/v1"}
        with place(build, folder / "g", ANSWERS, urls, routing={"stream_timeout_ms": 4000}) as g:
            g.came = came
            yield g


@pytest.fixture(autouse=True)
def the_common_rule(faults):
    yield
    faults.settled()


@pytest.mark.parametrize("streams", [False, True])
def test_u1_connection_refused(faults, streams):
    answer, trace = faults.ask_for("u1", stream=streams)
    assert came_from_b(answer) and ends(trace)[0] == ("at-u1", "connection_refused", "released")
    answer, trace = faults.ask_for("u1-alone", stream=streams)
    assert code_of(answer) == (502, "all_attempts_failed") and trace["cost_nano_eur"] == 0


def test_u2_no_such_name(faults):
    answer, trace = faults.ask_for("u2")
    assert came_from_b(answer) and ends(trace)[0][0::2] == ("at-u2", "released")


def test_u3_a_certificate_that_nobody_signed_or_of_another(faults):
    answer, trace = faults.ask_for("u3")
    assert came_from_b(answer) and ends(trace)[0] == ("at-u3", "tls_failed", "released")
    assert [b for b in faults.came if b] == [], "not a byte was said to them"


def test_u3_a_handshake_that_stalls(faults):
    answer, trace = faults.ask_for("u3-stall")
    assert came_from_b(answer) and ends(trace)[0] == ("at-u3-stall", "connect_timeout", "released")


def test_u4_connected_and_silent(faults):
    answer, trace = faults.ask_for("u4")
    assert came_from_b(answer) and ends(trace) == [("a", "first_byte_timeout", "uncertain"), ("b", "ok", "actual")]
    assert trace["attempts"][0]["cost_nano_eur"] > 0, "it may have worked, so its input is owed"


def test_u5_reset_inside_an_answer(faults):
    answer, trace = faults.ask_for("u5")
    assert came_from_b(answer) and ends(trace) == [("a", "connection_reset", "uncertain"), ("b", "ok", "actual")]


def test_u6_reset_inside_a_stream(faults):
    answer, trace = faults.ask_for("u6", stream=True)
    assert broke_off(answer) and ends(trace) == [("a", "connection_reset", "estimated")]


@pytest.mark.parametrize("ping", ["comments", "empty", "nothing", "named"])
def test_u7_a_stream_that_only_pings(faults, ping):
    """1.5 s without content end it, however often it says that it lives."""
    answer, trace = faults.ask_for(f"u7-{ping}", stream=True)
    assert broke_off(answer, "upstream_timeout") and ends(trace) == [("a", "idle_timeout", "estimated")]


def test_u7_a_stream_without_end(faults):
    answer, trace = faults.ask_for("u7-endless", stream=True)
    pieces = len(events_of(answer)) - 1
    assert broke_off(answer, "upstream_timeout", "fine" * pieces) and ends(trace) == [("a", "total_timeout", "estimated")]


def test_u8_no_done_but_usage(faults):
    answer, trace = faults.ask_for("u8", stream=True)
    assert events_of(answer)[-1] == "[DONE]" and ends(trace) == [("a", "ok", "actual")] and trace["cost_nano_eur"] == PRICE


@pytest.mark.parametrize("model, streams", [("u9", False), ("u9-stream", True)])
def test_u9_no_usage(faults, model, streams):
    before = faults.metrics().get("latenza_cost_estimated_total", 0)
    answer, trace = faults.ask_for(model, stream=streams)
    assert answer.status == 200 and ends(trace) == [("a", "ok", "estimated")] and trace["cost_nano_eur"] > 0
    assert trace["tokens"]["output"] == (2 if streams else 1), "four bytes are a token, and so is an event"
    assert faults.metrics().get("latenza_cost_estimated_total", 0) == before + 1


def suspects(faults, id):
    return [e for e in faults.events("money.usage_suspect") if e["request"] == id]


@pytest.mark.parametrize("model, output", [("u10-negative", 1), ("u10-window", 4096), ("u10-little", 20000 // 128)])
def test_u10_usage_that_cannot_be_true(faults, model, output):
    """Below zero, beyond the model's window, less than what was delivered can be."""
    answer, trace = faults.ask_for(model)
    assert answer.status == 200 and ends(trace) == [("a", "ok", "estimated")]
    assert trace["tokens"]["output"] == output and len(suspects(faults, trace["id"])) == 1


def test_u10_usage_of_a_frugal_tokenizer_is_believed(faults):
    _, trace = faults.ask_for("u10-plain")
    assert ends(trace) == [("a", "ok", "actual")] and trace["tokens"]["output"] == 1300
    assert suspects(faults, trace["id"]) == []


def test_u11_no_json_under_a_200(faults):
    answer, trace = faults.ask_for("u11")
    assert came_from_b(answer) and ends(trace)[0] == ("a", "bad_answer", "uncertain")


def test_u12_an_event_that_is_no_json(faults):
    answer, trace = faults.ask_for("u12", stream=True)
    assert broke_off(answer) and ends(trace) == [("a", "bad_event", "estimated")]


def test_u13_compressed_though_nobody_asked(faults):
    answer, trace = faults.ask_for("u13")
    assert came_from_b(answer) and ends(trace)[0] == ("a", "bad_answer", "uncertain")


def test_u14_an_event_of_10_mb(faults):
    answer, trace = faults.ask_for("u14", stream=True)
    assert broke_off(answer) and ends(trace) == [("a", "too_large", "estimated")]


@pytest.mark.parametrize("i", range(len(WAITS)))
def test_u15_a_rate_limit_however_it_says_when(faults, i):
    answer, trace = faults.ask_for(f"u15-{i}")
    assert came_from_b(answer) and ends(trace)[0] == ("a", "refused", "released")
    answer, trace = faults.ask_for(f"u15-{i}-alone")
    assert code_of(answer) == (429, "upstream_rate_limited") and int(answer.headers["retry-after"]) == WAITS[i][1]


def test_u16_a_spend_cap(build, tmp_path):
    """The credential rests for a minute and longer: the next request goes to others at once."""
    with place(build, tmp_path / "g", {"u16": ANSWERS["u16"]}) as g:
        for attempts in (["a", "b"], ["b"], ["b"]):
            answer, trace = g.ask_for("u16")
            assert came_from_b(answer) and [a["provider"] for a in trace["attempts"]] == attempts
        assert g.raw.calls == 1 and len(g.events("provider.credentials")) == 1
        g.settled()


@pytest.mark.parametrize("model", ["u17", "u17-stream"])
def test_u17_overloaded(faults, model):
    answer, trace = faults.ask_for(model, stream=model == "u17-stream")
    assert came_from_b(answer) and [a["provider"] for a in trace["attempts"]] == ["a", "b"]


def test_u18_the_gateways_own_credentials(build, tmp_path):
    with place(build, tmp_path / "g", {m: ANSWERS["u18"] for m in ("u18", "u18-alone")}) as g:
        answer, trace = g.ask_for("u18")
        assert came_from_b(answer) and ends(trace)[0] == ("a", "refused", "released")
        answer, trace = g.ask_for("u18-alone")
        assert code_of(answer) == (502, "upstream_credentials") and b"sk-MARKED" not in answer.body
        assert len(g.events("provider.credentials")) == 1
        g.settled()


def test_u19_too_long_a_prompt(faults):
    """b has no larger window, so it is not asked."""
    answer, trace = faults.ask_for("u19")
    assert code_of(answer) == (400, "context_length_exceeded") and ends(trace) == [("a", "refused", "released")]


@pytest.mark.parametrize("model", ["u20-1xx", "u20-302", "u20-304"])
def test_u20_interim_answers_and_redirects(faults, model):
    answer, trace = faults.ask_for(model)
    assert came_from_b(answer) and ends(trace)[0][0] == "a"


def test_u20_a_hint_before_an_answer(faults):
    answer, trace = faults.ask_for("u20-103")
    assert answer.status == 200 and ends(trace) == [("a", "ok", "actual")]


def test_u21_an_answer_that_drips(faults):
    """Whole answers have a deadline, and no rate."""
    answer, trace = faults.ask_for("u21", b"x-latenza-timeout-ms: 1500")
    assert code_of(answer) == (504, "upstream_timeout") and ends(trace) == [("a", "total_timeout", "uncertain")]


def test_u21_a_stream_that_drips(faults):
    answer, trace = faults.ask_for("u21-stream", stream=True)
    assert broke_off(answer, "upstream_timeout") and ends(trace) == [("a", "idle_timeout", "estimated")]


@pytest.mark.parametrize("model", ["u22-head", "u22-lengths", "u22-0.9"])
def test_u22_heads_that_are_none(faults, model):
    answer, trace = faults.ask_for(model)
    assert came_from_b(answer) and ends(trace)[0] == ("a", "bad_answer", "uncertain")


def test_u23_another_model(faults):
    answer, trace = faults.ask_for("u23")
    assert answer.status == 200 and json.loads(answer.body)["model"] == "quite-another"
    assert trace["attempts"][0]["answered_model"] == "quite-another" and trace["cost_nano_eur"] == PRICE
    _, trace = faults.ask_for("u23-choices")
    assert "answered_model" in trace["attempts"][0]


def test_u23_choices_that_nobody_asked_for(faults):
    """Passed on (core/call/README.md says why), and charged as the provider counts."""
    answer, trace = faults.ask_for("u23-choices")
    assert len(json.loads(answer.body)["choices"]) == 2 and trace["cost_nano_eur"] == PRICE


def test_u24_all_down(faults):
    """Once the breaker is open nobody is asked, and the caller is told when to come again."""
    for _ in range(6):
        answer, trace = faults.ask_for("u24-alone")
    end = time.monotonic() + 120
    while answer.status != 503:
        assert time.monotonic() < end and answer.status == 502
        answer, trace = faults.ask_for("u24-alone")
    assert code_of(answer) == (503, "no_available_provider") and int(answer.headers["retry-after"]) >= 1
    assert ends(trace) == [] and trace["total_ms"] < 5000
