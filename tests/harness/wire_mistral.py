"""Mistral's chat completions: how its recordings are read, and what a request must look like. A row of wires.py.

SPDX-License-Identifier: MIT
"""

import copy
import json
import re

from harness.provider import OpenAI, usage_of
from harness.wire import Said, Wire, events_of, merge

FINISH = {"stop": "stop", "length": "length", "model_length": "length", "tool_calls": "tool_calls"}


USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}

# ---- answers ----

def message_of(events):
    """What the deltas of a stream add up to; their contents may be text or parts."""
    message, finish, usage = {"content": []}, None, {}
    for event in events:
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            delta = dict(choice["delta"])
            message["content"] += parts_of(delta.pop("content", None))
            for i, call in enumerate(delta.get("tool_calls") or []):
                call.setdefault("index", i)
                if call.get("id") == "null":  # as its schema has it
                    del call["id"]
            merge(message, {k: v for k, v in delta.items() if v is not None and k != "index"})
            finish = choice.get("finish_reason") or finish
    return message, finish, usage


def parts_of(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content or []


def read(exchange):
    if exchange.is_stream:
        message, finish, usage = message_of([json.loads(d) for d in events_of(exchange.body) if d != "[DONE]"])
    else:
        answer = json.loads(exchange.body)
        message, finish, usage = answer["choices"][0]["message"], answer["choices"][0]["finish_reason"], answer["usage"]
    parts = parts_of(message["content"])
    text = "".join(p["text"] for p in parts if p["type"] == "text")
    thinking = "".join(t["text"] for p in parts if p["type"] == "thinking" for t in p["thinking"])
    calls = tuple((None if c.get("id") == "null" else c.get("id"), c["function"]["name"], arguments_of(c))
                  for c in message.get("tool_calls") or [])
    cached = usage.get("num_cached_tokens") or (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    prompt = usage["prompt_tokens"]
    return Said(text, thinking, calls, FINISH[finish], (prompt, usage["completion_tokens"], min(cached, prompt), 0))


def arguments_of(call):
    arguments = call["function"]["arguments"]
    return arguments if isinstance(arguments, dict) else json.loads(arguments)


# ---- requests: a closed list of what there is, by Mistral's reference ----

NUMBER = (int, float)
MEMBERS = {"model": str, "messages": list, "temperature": NUMBER, "top_p": NUMBER, "max_tokens": int, "stream": bool,
           "stop": (str, list), "random_seed": int, "metadata": dict, "response_format": dict, "tools": list,
           "tool_choice": (str, dict), "presence_penalty": NUMBER, "frequency_penalty": NUMBER, "n": int, "prediction": dict,
           "parallel_tool_calls": bool, "reasoning_effort": str, "prompt_mode": str, "guardrails": list,
           "prompt_cache_key": str, "service_tier": str, "safe_prompt": bool}
OF_ROLE = {"system": set(), "user": set(), "assistant": {"tool_calls", "prefix"}, "tool": {"tool_call_id", "name"}}
PARTS = {"text": {"text"}, "image_url": {"image_url"}, "document_url": {"document_url", "document_name"},
         "input_audio": {"input_audio"}, "file": {"file_id"}, "thinking": {"thinking", "signature", "closed"},
         "reference": {"reference_ids"}}
OWN_TOOLS = {"web_search", "web_search_premium", "code_interpreter", "image_generation", "document_library"}
ID = re.compile(r"^[A-Za-z0-9]{9}$")


def wrong_message(where, message):
    role = message.get("role")
    if role not in OF_ROLE or set(message) - {"role", "content"} - OF_ROLE[role] or "content" not in message:
        return [f"{where}: {str(message)[:120]}"]
    out = []
    for part in message["content"] if isinstance(message["content"], list) else []:
        if part.get("type") not in PARTS or set(part) - {"type"} - PARTS[part["type"]]:
            out.append(f"{where}: part {str(part)[:80]}")
        if role == "system" and part["type"] not in ("text", "thinking"):
            out.append(f"{where}: a system message says no {part['type']}")
    for call in message.get("tool_calls") or []:
        if set(call) - {"id", "type", "function", "index"} or not ID.match(call["id"]) or \
                set(call["function"]) != {"name", "arguments"}:
            out.append(f"{where}: call {call}")
    if role == "tool" and not ID.match(message["tool_call_id"]):
        out.append(f"{where}: {message['tool_call_id']} is no id")
    return out


def wrong_order(messages):
    out, last, open_calls = [], None, set()
    for i, message in enumerate(messages):
        role = message["role"]
        if last == "tool" and role not in ("tool", "assistant"):
            out.append(f"messages[{i}]: a {role} right after a tool")
        if role == "tool" and message["tool_call_id"] not in open_calls:
            out.append(f"messages[{i}]: the result of no call: {message['tool_call_id']}")
        if role != "tool":
            open_calls = {c["id"] for c in message.get("tool_calls") or []}
        last = role
    if last == "assistant" and not messages[-1].get("prefix"):
        out.append("messages: the last is the assistant's, and no prefix")
    return out


def wrong_tools(body):
    out = []
    for i, tool in enumerate(body.get("tools", [{}][:0])):
        function = tool.get("function", {})
        if tool.get("type") in OWN_TOOLS:
            continue
        if tool.get("type", "function") != "function" or set(tool) - {"type", "function"} or \
                set(function) - {"name", "description", "strict", "parameters"} or \
                not isinstance(function.get("parameters"), dict):
            out.append(f"tools[{i}]: {str(tool)[:120]}")
    choice = body.get("tool_choice")
    if isinstance(choice, str) and choice not in ("auto", "none", "any") or \
            isinstance(choice, dict) and (set(choice) != {"type", "function"} or set(choice["function"]) != {"name"}):
        out.append(f"tool_choice: {choice}")
    if body.get("tools") == [] or (choice and not body.get("tools")):
        out.append("tools are empty")
    return out


def wrong(path, body):
    if path == "/v1/embeddings":
        return [f"{name} is unknown" for name in
                set(body) - {"model", "input", "output_dimension", "output_dtype", "encoding_format", "metadata"}]
    out = [] if path == "/v1/chat/completions" else [f"path {path}"]
    out += [f"{name} is unknown, or no {MEMBERS.get(name)}: {value}" for name, value in body.items()
            if name not in MEMBERS or not isinstance(value, MEMBERS[name])]
    if not 0 <= body.get("temperature", 0) <= 1.5 or not 0 < body.get("top_p", 1) <= 1 or body.get("random_seed", 0) < 0:
        out.append(f"numbers: {body}")
    form = body.get("response_format", {})
    if set(form) - {"type", "json_schema"} or set(form.get("json_schema", {})) - {"name", "description", "schema", "strict"}:
        out.append(f"response_format: {form}")
    for i, message in enumerate(body["messages"]):
        out += wrong_message(f"messages[{i}]", message)
    return out or wrong_order(body["messages"]) + wrong_tools(body)


# ---- twins ----

def taste(body):
    """Names of calls; what their client says although it is so anyway; schemas that one closes and the other does not."""
    body, ids = copy.deepcopy(body), {}
    for name in ("model", "max_tokens", "stream"):
        body.pop(name, None)
    for name, usual in (("n", 1), ("top_p", 1), ("tool_choice", "auto")):
        if body.get(name) == usual:
            del body[name]
    for message in body["messages"]:
        message["content"] = message["content"] or ""
        if message.get("prefix") is False:
            del message["prefix"]
        for call in message.get("tool_calls") or []:
            call.pop("index", None)
            call["id"] = ids.setdefault(call["id"], len(ids))
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        if "tool_call_id" in message:
            message["tool_call_id"] = ids.setdefault(message["tool_call_id"], len(ids))
        message["content"] = parts_of(message["content"] or None)
        for part in message["content"]:
            for name, usual in (("closed", True), ("signature", None)):
                if part.get(name, ...) == usual:
                    del part[name]
    for tool in body.get("tools", []):
        tool.setdefault("type", "function")
        tool["function"].pop("strict", None)
        tool["function"]["parameters"].pop("additionalProperties", None)
    return body


def ask_again(request, message):
    """The conversation that led to `request`, with `message` in place of its assistant's turn."""
    return [message if turn["role"] == "assistant" else turn for turn in request["messages"]]


# ---- a scripted provider ----

class Scripted(OpenAI):
    plugin, call_id = "mistral", "Ab1Cd2Ef3"
    codes = {400: None, 404: "model_not_found", 413: None, 422: None}
    signed = [{"type": "thinking", "thinking": [{"type": "text", "text": "Ghent, then."}], "signature": "c2lnbmVk+/=="}]

    def error(self, status):
        if status in (401, 422):
            return {"detail": f"scripted {status}" if status == 401 else [{"loc": ["body", "messages"], "msg": "scripted 422"}]}
        return {"object": "error", "message": f"scripted {status}", "type": "scripted", "param": None, "code": None}

    def tools_used(self, body):
        assert wrong("/v1/chat/completions", body) == []
        return super().tools_used(body)

    def whole(self, body, script):
        answer = super().whole(body, script)
        for call in answer["choices"][0]["message"].get("tool_calls") or []:
            del call["type"]
        if script.tool_calls:
            answer["choices"][0]["message"]["content"] = ""
        return answer

    def signed_answer(self, call):
        return {"id": "0a1b", "object": "chat.completion", "created": 1, "model": "fake-1", "usage": USAGE, "choices": [
            {"index": 0, "finish_reason": "tool_calls",
             "message": {"role": "assistant", "content": self.signed, "tool_calls": [call]}}]}

    def signed_back(self, body):
        return body["messages"][1]["content"]

    def event(self, body, delta, finish=None, usage=None, choices=True):
        """With the padding that Mistral hides the lengths of tokens behind."""
        chunk = json.loads(super().event(body, delta, finish, usage, choices)[len("data: "):])
        return f"data: {json.dumps({**chunk, 'p': 'abcdef'})}\n\n".encode()

    def closing(self, body, script):
        chunk = {"id": "0a1b", "object": "chat.completion.chunk", "created": 1, "model": body["model"], "usage": usage_of(script),
                 "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason":
                              "tool_calls" if script.tool_calls else script.finish}]}
        return [f"data: {json.dumps(chunk)}\n\n".encode()]

    def failing(self, body):
        return [b'data: {"object":"error","message":"scripted end","type":"internal_server_error","code":"1000"}\n\n']


WIRE = Wire(
    name="mistral", model="mistral-small-latest",
    is_answer=lambda path: path == "/v1/chat/completions",
    read=read, wrong=wrong, taste=taste, ask_again=ask_again,
    refusals={
        "err-401": (502, "upstream_credentials"), "is-err-400-model": (404, "model_not_found"),
        "is-err-400-order": (400, "invalid_request_message_order"), "is-err-422-extra": (422, None),
        "is-err-429": (429, "upstream_rate_limited"),
        "error-400-context": (400, "context_length_exceeded"), "error-401": (502, "upstream_credentials"),
        "error-404": (404, "model_not_found"), "error-422-list": (422, None), "error-422-message-list": (422, None),
        "error-429-capacity": (429, "upstream_rate_limited"),
        "error-500": (502, "all_attempts_failed"), "stream-error-first": (502, "all_attempts_failed"),
        "whole-error-finish": (502, "all_attempts_failed"),
    },
    refused={"chat-legacy-functions": "functions", "chat-web-search": "web_search_options"},
    twins={"matrix-tc-auto-1": ("matrix-tc-auto-1", ()), "matrix-tc-auto-2": ("matrix-tc-auto-2", ()),
           # its client leaves tools out in place of saying none
           "matrix-tc-none": ("matrix-tc-none", ("tools", "tool_choice")),
           "matrix-tc-required": ("matrix-tc-required", ()), "chat-stop-seq": ("stop-seq", ())},
    turns=[("matrix-tc-auto-1", "matrix-tc-auto-2"), ("tool-parallel-1", "tool-parallel-2"), ("stream-tool-1", "stream-tool-2"),
           ("whole-thinking-1", "whole-thinking-2"), ("stream-thinking-1", "stream-thinking-2")],
    cut_off=("stream-error-mid",), scripted=Scripted(),
)
