"""Google's Gemini API: how its recordings are read, and what a request must look like. A row of wires.py.

SPDX-License-Identifier: MIT
"""

import base64
import copy
import json
import re

from harness.provider import OpenAI, vector_of
from harness.wire import Said, Wire, events_of

FILTERED = {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"}


# ---- answers ----

def read(exchange):
    answers = [json.loads(d) for d in events_of(exchange.body)] if exchange.is_stream else [json.loads(exchange.body)]
    said, calls, finish, counts = {True: "", False: ""}, [], None, {}
    for answer in answers:
        counts.update(answer.get("usageMetadata", {}))
        if "blockReason" in answer.get("promptFeedback", {}) and "candidates" not in answer:
            finish = "SAFETY"
        for candidate in answer.get("candidates", []):
            finish = candidate.get("finishReason") or finish
            for part in candidate.get("content", {}).get("parts", []):
                said[bool(part.get("thought"))] += part.get("text", "")
                if "functionCall" in part:
                    call = part["functionCall"]
                    calls.append((call.get("id"), call["name"], call.get("args", {})))
    reason = "length" if finish == "MAX_TOKENS" else "content_filter" if finish in FILTERED else \
        "tool_calls" if calls else "stop"
    usage = None
    if "totalTokenCount" in counts:
        prompt, thoughts = counts["promptTokenCount"], counts.get("thoughtsTokenCount", 0)
        usage = (prompt, counts.get("candidatesTokenCount", 0) + thoughts, counts.get("cachedContentTokenCount", 0), thoughts)
        assert counts["totalTokenCount"] == usage[0] + usage[1]
    return Said(said[False], said[True], tuple(calls), reason, usage)


# ---- requests: a closed list of what there is, by Google's reference ----

NUMBER = (int, float)
MEMBERS = {"contents": list, "systemInstruction": dict, "tools": list, "toolConfig": dict, "safetySettings": list,
           "generationConfig": dict}
CONFIG = {"temperature": NUMBER, "topP": NUMBER, "topK": NUMBER, "candidateCount": int, "maxOutputTokens": int,
          "stopSequences": list, "seed": int, "presencePenalty": NUMBER, "frequencyPenalty": NUMBER, "responseLogprobs": bool,
          "logprobs": int, "responseMimeType": str, "responseSchema": dict, "responseJsonSchema": dict,
          "responseModalities": list, "thinkingConfig": dict}
THINKING = {"thinkingBudget": int, "thinkingLevel": str, "includeThoughts": bool}
PARTS = {"text": str, "inlineData": dict, "fileData": dict, "functionCall": dict, "functionResponse": dict}
INSIDE = {"inlineData": ({"mimeType", "data"}, set()), "fileData": ({"fileUri"}, {"mimeType"}),
          "functionCall": ({"name", "args"}, {"id"}), "functionResponse": ({"name", "response"}, {"id"})}
DECLARED = {"name": str, "description": str, "parametersJsonSchema": dict, "parameters": dict}
PATH = re.compile(r"^/v1(beta)?/models/[^/:?]+:(generateContent|streamGenerateContent\?alt=sse)$")
KIND = re.compile(r"^[a-z]+/[a-z0-9.+-]+$")


def unknown(where, body, members):
    return [f"{where}.{name} is unknown, or no {members.get(name)}: {str(value)[:60]}" for name, value in body.items()
            if name not in members or not isinstance(value, members[name])]


def wrong_part(where, part):
    kinds = set(part) & set(PARTS)
    if len(kinds) != 1 or set(part) - kinds - {"thoughtSignature", "thought"}:
        return [f"{where}: {str(part)[:80]}"]
    kind = kinds.pop()
    out = unknown(where, {kind: part[kind]}, PARTS)
    if out or kind == "text":
        return out + ([f"{where} says nothing"] if part["text"] == "" and "thoughtSignature" not in part else [])
    must, may = INSIDE[kind]
    if not must <= set(part[kind]) <= must | may:
        out.append(f"{where}.{kind} has {sorted(part[kind])}")
    if "mimeType" in part[kind] and not KIND.match(part[kind]["mimeType"]):
        out.append(f"{where}: mimeType {part[kind]['mimeType']}")
    if kind == "inlineData":
        base64.b64decode(part[kind]["data"], validate=True)
    if kind == "fileData" and not part[kind]["fileUri"].startswith("https://"):
        out.append(f"{where}: {part[kind]['fileUri']}")
    out += [f"{where}.{name} is no object" for name in ("args", "response") if not isinstance(part[kind].get(name, {}), dict)]
    return out


def names_in(content, kind):
    return [part[kind]["name"] for part in content["parts"] if kind in part]


def wrong_contents(contents):
    out, open_calls = [], []
    for i, content in enumerate(contents):
        where = f"contents[{i}]"
        if set(content) != {"role", "parts"} or content["role"] not in ("user", "model") or not content["parts"]:
            return [f"{where}: {str(content)[:80]}"]
        for k, part in enumerate(content["parts"]):
            out += wrong_part(f"{where}[{k}]", part)
        if sorted(names_in(content, "functionResponse")) != sorted(open_calls):
            out.append(f"{where}: the results of {open_calls} come next, all of them in one content")
        open_calls = names_in(content, "functionCall")
        if open_calls and content["role"] != "model":
            out.append(f"{where}: a user calls {open_calls}")
    return out + (["no contents"] if not contents else []) + (["tools are not answered"] if open_calls else [])


def wrong_tools(body):
    out, names = [], set()
    for i, tool in enumerate(body.get("tools", [])):
        out += unknown(f"tools[{i}]", tool, {"functionDeclarations": list})
        for declared in tool.get("functionDeclarations", []):
            out += unknown(f"tools[{i}]", declared, DECLARED)
            names.add(declared.get("name"))
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {"mode": "AUTO"})
    if calling.get("mode") not in ("AUTO", "ANY", "NONE", "VALIDATED") or set(calling) - {"mode", "allowedFunctionNames"} or \
            not set(calling.get("allowedFunctionNames", [])) <= names or \
            ("allowedFunctionNames" in calling and calling["mode"] not in ("ANY", "VALIDATED")):
        out.append(f"toolConfig: {calling}")
    return out


def wrong(path, body):
    out = ([] if PATH.match(path) else [f"path {path}"]) + unknown("request", body, MEMBERS)
    if out or "contents" not in body:
        return out or ["contents are missing"]
    config = body.get("generationConfig", {})
    out += unknown("generationConfig", config, CONFIG) + unknown("thinkingConfig", config.get("thinkingConfig", {}), THINKING)
    if config.get("maxOutputTokens", 1) < 1 or not 1 <= config.get("candidateCount", 1) <= 8 or \
            not 0 <= config.get("temperature", 0) <= 2 or ("logprobs" in config and not config.get("responseLogprobs")):
        out.append(f"generationConfig: {config}")
    for k, part in enumerate(body.get("systemInstruction", {}).get("parts", [])):
        out += wrong_part(f"systemInstruction[{k}]", part)
    return out + wrong_contents(body["contents"]) + wrong_tools(body)


# ---- twins ----

def plain(response):
    """What a function gave, however a client wraps it."""
    while isinstance(response, dict) and len(response) == 1 and set(response) <= {"output", "return_value"}:
        response = next(iter(response.values()))
        if isinstance(response, str) and response.startswith("{"):
            response = json.loads(response)
    return response


def taste(body):
    """Ids of calls, empty descriptions, either alphabet of base64, and schemas that one client closes and another does not."""
    body, signatures = copy.deepcopy(body), []
    for content in body["contents"]:
        for part in content["parts"]:
            if "thoughtSignature" in part:
                signatures.append(part.pop("thoughtSignature").replace("-", "+").replace("_", "/"))
            for kind in ("functionCall", "functionResponse"):
                part.get(kind, {}).pop("id", None)
            if "functionResponse" in part:
                part["functionResponse"]["response"] = plain(part["functionResponse"]["response"])
    for tool in body.get("tools", []):
        for declared in tool["functionDeclarations"]:
            schema = declared.pop("parameters_json_schema", None) or declared.pop("parametersJsonSchema", {})
            schema.pop("additionalProperties", None)
            declared["parametersJsonSchema"] = schema
    body.get("generationConfig", {}).pop("responseModalities", None)
    if body.get("generationConfig") == {}:
        body.pop("generationConfig")
    return {**{k: v for k, v in body.items() if k != "contents"}, "messages": body["contents"], "signatures": signatures}


def ask_again(request, message):
    """The conversation that led to `request`, with `message` in place of its model's turn."""
    out, ids = [], {c["function"]["name"]: c["id"] for c in message.get("tool_calls", [])}
    for content in request["contents"]:
        for part in content["parts"] if content["role"] == "user" else []:
            if "functionResponse" in part:
                result = plain(part["functionResponse"]["response"])
                out.append({"role": "tool", "tool_call_id": ids[part["functionResponse"]["name"]],
                            "content": result if isinstance(result, str) else json.dumps(result)})
            else:
                out.append({"role": "user", "content": part["text"]})
        out += [message] if content["role"] == "model" else []
    return out


# ---- a scripted provider ----

STOPS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
            413: "INVALID_ARGUMENT", 422: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}


class Scripted(OpenAI):
    plugin, base_path, call_id = "google", "/v1beta", "fc-01Ab.1_9x"
    codes = {400: None, 404: "model_not_found", 413: None, 422: None}
    signed = "c2lnbmVk+/=="

    def is_chat(self, path):
        return "enerateContent" in path

    def is_embeddings(self, path):
        return path.endswith("mbedContents") or path.endswith(":embedContent")

    def model(self, path, body):
        return path.rpartition("/")[2].partition(":")[0]

    def is_stream(self, path, body):
        return path.endswith(":streamGenerateContent?alt=sse")

    def last_text(self, body):
        return [p["text"] for c in body["contents"] if c["role"] == "user" for p in c["parts"] if "text" in p][-1]

    def key(self, headers):
        assert "authorization" not in headers
        return headers["x-goog-api-key"]

    def schema(self, body):
        assert body["generationConfig"]["responseMimeType"] == "application/json"
        return body["generationConfig"]["responseJsonSchema"]

    def tools_used(self, body):
        parts = [p for c in body["contents"] for p in c["parts"]]
        return ([tuple(p["functionCall"][n] for n in ("id", "name", "args")) for p in parts if "functionCall" in p],
                [(p["functionResponse"]["id"], p["functionResponse"]["response"]["output"])
                 for p in parts if "functionResponse" in p])

    def error(self, status):
        return {"error": {"code": status, "message": f"scripted {status}", "status": STATUSES.get(status, "UNKNOWN")}}

    def signed_answer(self, call):
        return self.answer([{**self.part(call), "thoughtSignature": self.signed}], "STOP", (7, 5))

    def signed_back(self, body):
        return body["contents"][1]["parts"][0]["thoughtSignature"]

    def part(self, call):
        return {"functionCall": {"id": call["id"], "name": call["function"]["name"],
                                 "args": json.loads(call["function"]["arguments"])}}

    def answer(self, parts, finish, usage):
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **({"finishReason": finish} if finish else {})}
        return {"candidates": [candidate], "responseId": "scripted", "usageMetadata": {
            "promptTokenCount": usage[0], "candidatesTokenCount": usage[1], "totalTokenCount": sum(usage)}}

    def embeddings(self, body, script):
        def values(r):
            return {"values": vector_of(r["content"]["parts"][0]["text"], r.get("outputDimensionality") or 3)}
        return {"embeddings": [values(r) for r in body["requests"]]} if "requests" in body else {"embedding": values(body)}

    def whole(self, body, script):
        parts = [self.part(c) for c in script.tool_calls or []]
        return self.answer(parts or [{"text": "".join(script.chunks or [self.last_text(body)])}], STOPS[script.finish],
                           script.usage)

    def said(self, parts, finish=None, usage=(7, 1)):
        return [f"data: {json.dumps(self.answer(parts, finish, usage))}\r\n\r\n".encode()]

    def opening(self, body, script):
        return []

    def piece(self, body, text):
        return self.said([{"text": text}])

    def call(self, body, index, call):
        return self.said([self.part(call)])

    def failing(self, body):
        return [f"data: {json.dumps(self.error(503))}\r\n\r\n".encode()]

    def closing(self, body, script):
        return self.said([{"text": ""}], STOPS[script.finish], script.usage)

    def ending(self):
        return []


WIRE = Wire(
    name="google", theirs="gemini", model="gemini-2.5-flash",
    is_answer=lambda path: path.endswith((":generateContent", ":streamGenerateContent?alt=sse")),
    read=read, wrong=wrong, taste=taste, ask_again=ask_again,
    refusals={
        "err-400-apikey": (502, "upstream_credentials"), "err-429-quota": (429, "upstream_rate_limited"),
        "fb-unary-failure-quota-exceeded-v": (429, "upstream_rate_limited"),
        "fb-unary-failure-unknown-model": (404, "model_not_found"), "fx-err-429-retry-info": (429, "upstream_rate_limited"),
        "fb-unary-failure-invalid-response-v": (502, "all_attempts_failed"), "is-err-503": (502, "all_attempts_failed"),
        # Its one event has no blank line behind it: by the rules of event streams there was none.
        "fb-streaming-failure-prompt-blocked-safety": (502, "all_attempts_failed"),
        "error-400": (400, None), "error-400-list": (400, None), "error-key": (502, "upstream_credentials"),
        "error-403": (502, "upstream_credentials"), "error-404": (404, "model_not_found"),
        "error-429": (429, "upstream_rate_limited"), "error-quota": (502, "upstream_credentials"),
        "error-context": (400, "context_length_exceeded"), "error-503": (502, "all_attempts_failed"),
        "stream-error-first": (502, "all_attempts_failed"), "whole-stumbled": (502, "all_attempts_failed"),
        "whole-no-answer": (502, "all_attempts_failed"),
    },
    refused={"chat-legacy-functions": "function_call", "chat-web-search": "web_search_options"},
    twins={"matrix-tc-auto-1": ("matrix-tc-auto-1", ()),
           # One of them has a signature of the first turn's answer, which the other never saw.
           "matrix-tc-auto-2": ("matrix-tc-auto-2", ("signatures",)),
           "matrix-tc-required": ("matrix-tc-required", ()), "matrix-tc-none": ("matrix-tc-none", ()),
           "chat-stop-seq": ("stop-seq", ())},
    turns=[("matrix-tc-auto-1", "matrix-tc-auto-2"), ("stream-tool-1", "stream-tool-2"),
           ("stream-tool-signature-1", "stream-tool-signature-2"), ("whole-tools-1", "whole-tools-2"),
           ("stream-tools-1", "stream-tools-2"), ("whole-tools-2", "whole-signed-text")],
    # Without a finishReason, with an error behind the last event, with a call in pieces that nobody asked for.
    cut_off=("stream-error-mid", "stream-error-bare", "stream-no-finish", "fb-streaming-success-quotes-escaped-v",
             "fb-streaming-failure-error-mid-stream-v", "fx-stream-tool-noargs"),
    scripted=Scripted(),
)
