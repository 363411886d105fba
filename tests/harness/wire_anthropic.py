"""Anthropic's Messages: how its recordings are read, and what a request must look like. A row of wires.py.

SPDX-License-Identifier: MIT
"""

import copy
import json
import re

from harness.provider import OpenAI
from harness.wire import Said, Wire, events_of

FINISH = {"end_turn": "stop", "stop_sequence": "stop", "pause_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length",
          "model_context_window_exceeded": "length", "refusal": "content_filter"}


# ---- answers ----

def whole_of(events):
    """The message that the events of a stream stand for."""
    message, pieces = {}, []
    for event in events:
        kind = event.get("type")
        if kind == "message_start":
            message = copy.deepcopy(event["message"])
        elif kind == "content_block_start":
            message["content"].append(copy.deepcopy(event["content_block"]))
            pieces = []
        elif kind == "content_block_delta":
            block, delta = message["content"][-1], event["delta"]
            for name in ("text", "thinking", "signature"):
                if delta["type"] == f"{name}_delta":
                    block[name] = block.get(name, "") + delta[name]
            pieces += [delta["partial_json"]] if delta["type"] == "input_json_delta" else []
        elif kind == "content_block_stop" and message["content"][-1]["type"] == "tool_use" and "".join(pieces):
            message["content"][-1]["input"] = json.loads("".join(pieces))
        elif kind == "message_delta":
            message.update({k: v for k, v in event["delta"].items() if v is not None})
            message["usage"].update(event["usage"])
    return message


def read(exchange):
    if exchange.is_stream:
        message = whole_of([json.loads(data) for data in events_of(exchange.body)])
    else:
        message = json.loads(exchange.body)
    said = {"text": "", "thinking": ""}
    calls = []
    for block in message["content"]:
        for name in said:
            said[name] += block[name] if block["type"] == name else ""
        if block["type"] == "tool_use":
            calls.append((block["id"], block["name"], block.get("input") or {}))
    usage = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, **message["usage"]}
    prompt = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens", 0)
    return Said(said["text"], said["thinking"], tuple(calls), FINISH[message["stop_reason"]],
                (prompt, usage["output_tokens"], usage["cache_read_input_tokens"], thought))


# ---- requests: a closed list of what there is, by Anthropic's reference ----

MEMBERS = {"model": str, "max_tokens": int, "messages": list, "system": (str, list), "tools": list, "tool_choice": dict,
           "stop_sequences": list, "stream": bool, "temperature": (int, float), "top_p": (int, float), "top_k": int,
           "metadata": dict, "thinking": dict, "output_config": dict, "service_tier": str, "cache_control": dict}
BLOCKS = {"text": {"text": str}, "image": {"source": dict}, "document": {"source": dict},
          "tool_use": {"id": str, "name": str, "input": dict}, "tool_result": {"tool_use_id": str},
          "thinking": {"thinking": str, "signature": str}, "redacted_thinking": {"data": str}}
MAY = {"cache_control", "title", "content", "is_error", "citations"}
OF_ROLE = {"user": {"text", "image", "document", "tool_result"},
           "assistant": {"text", "tool_use", "thinking", "redacted_thinking"}}
SOURCES = {"base64": {"media_type", "data"}, "url": {"url"}, "text": {"media_type", "data"}}
ID = re.compile(r"^[a-zA-Z0-9_-]+$")
CHOICES = {"auto": {"disable_parallel_tool_use"}, "any": {"disable_parallel_tool_use"}, "none": set(),
           "tool": {"name", "disable_parallel_tool_use"}}


def wrong_block(where, block, role):
    kind = block.get("type")
    if kind not in OF_ROLE[role]:
        return [f"{where}: a {role} says no {kind}"]
    out = [f"{where}.{name} is missing, or no {t}" for name, t in BLOCKS[kind].items() if not isinstance(block.get(name), t)]
    out += [f"{where}.{name} is unknown" for name in set(block) - set(BLOCKS[kind]) - MAY - {"type"}]
    if kind == "text" and not block["text"].strip():
        out.append(f"{where}: a text must not be blank")
    if kind in ("image", "document"):
        source = block.get("source", {})
        if set(source) - {"type"} != SOURCES.get(source.get("type")):
            out.append(f"{where}: source {str(source)[:80]}")
    for name in ("id", "tool_use_id"):
        if name in block and not ID.match(block[name]):
            out.append(f"{where}: {block[name]} is no id")
    return out


def wrong_messages(messages):
    out, open_calls, last = [], [], None
    for i, message in enumerate(messages):
        where, role = f"messages[{i}]", message.get("role")
        if set(message) != {"role", "content"} or role not in OF_ROLE or role == last:
            return [f"{where}: {str(message)[:80]}"]
        blocks = message["content"]
        if isinstance(blocks, str):
            blocks = [{"type": "text", "text": blocks}]
        for k, block in enumerate(blocks):
            out += wrong_block(f"{where}[{k}]", block, role)
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        if sorted(results) != sorted(open_calls) or [b["type"] for b in blocks[:len(results)]] != ["tool_result"] * len(results):
            out.append(f"{where}: the results of {open_calls} come first, and all of them: {results}")
        open_calls, last = [b["id"] for b in blocks if b["type"] == "tool_use"], role
        if not blocks:
            out.append(f"{where} is empty")
    if not messages or messages[0]["role"] != "user" or open_calls:
        out.append("messages: the first is the user's, and tools are answered")
    return out


def wrong_tools(body):
    out = []
    for i, tool in enumerate(body.get("tools", [])):
        if set(tool) - {"name", "description", "input_schema", "strict", "cache_control"} or \
                tool.get("input_schema", {}).get("type") != "object" or not ID.match(tool.get("name", "")):
            out.append(f"tools[{i}]: {str(tool)[:80]}")
    choice = body.get("tool_choice")
    if choice and (choice.get("type") not in CHOICES or set(choice) - {"type"} - CHOICES[choice["type"]]):
        out.append(f"tool_choice: {choice}")
    used = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"] if b["type"].startswith("tool_")]
    if (used or choice) and not body.get("tools"):
        out.append("tools are used and not declared")
    return out


def wrong_thinking(body):
    thinking = body.get("thinking") or {"type": "disabled"}
    out = []
    if thinking["type"] not in ("enabled", "adaptive", "disabled"):
        out.append(f"thinking: {thinking}")
    if thinking["type"] == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        out.append(f"the budget {thinking['budget_tokens']} does not fit {body['max_tokens']}")
    if thinking["type"] != "disabled" and ((body.get("tool_choice") or {}).get("type") in ("any", "tool") or
                                           body.get("temperature", 1) != 1 or "top_k" in body):
        out.append("thinking excludes a forced tool, temperature and top_k")
    return out


def wrong(path, body):
    out = [] if path.split("?")[0].endswith("/messages") else [f"path {path}"]
    out += [f"{name} is unknown, or no {MEMBERS.get(name)}" for name, value in body.items()
            if name not in MEMBERS or not isinstance(value, MEMBERS[name])]
    out += [f"{name} is missing" for name in ("model", "max_tokens", "messages") if name not in body]
    if out:
        return out
    if body["max_tokens"] < 1 or not 0 <= body.get("temperature", 0) <= 1:
        out.append("max_tokens or temperature")
    if any(not s.strip() for s in body.get("stop_sequences", [])):
        out.append("a stop sequence is blank")
    if set(body.get("metadata", {})) - {"user_id"} or set(body.get("output_config", {})) - {"format", "effort"}:
        out.append("metadata or output_config")
    form = body.get("output_config", {}).get("format")
    if form is not None and (set(form) != {"type", "schema"} or form["type"] != "json_schema"):
        out.append(f"output_config.format: {str(form)[:80]}")
    for i, block in enumerate(body["system"] if isinstance(body.get("system"), list) else []):
        out += wrong_block(f"system[{i}]", block, "user")
    return out + wrong_messages(body["messages"]) + wrong_tools(body) + wrong_thinking(body)


# ---- twins ----

def as_blocks(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def taste(body):
    """Names of calls, empty descriptions, and schemas that one client closes and the other does not."""
    body, ids = copy.deepcopy(body), {}
    for name in ("model", "max_tokens", "stream"):
        body.pop(name, None)
    for message in body["messages"]:
        message["content"] = as_blocks(message["content"])
        for block in message["content"]:
            block.pop("is_error", None)
            for name in ("id", "tool_use_id"):
                if name in block:
                    block[name] = ids.setdefault(block[name], len(ids))
            if block["type"] == "tool_result":
                block["content"] = as_blocks(block.get("content", []))
    for tool in body.get("tools", []):
        tool.pop("strict", None)
        tool["input_schema"].pop("additionalProperties", None)
        tool["input_schema"].pop("strict", None)
    return body


def ask_again(request, message):
    """The conversation that led to `request`, with `message` in place of its assistant's turn."""
    out = []
    for turn in request["messages"]:
        for block in as_blocks(turn["content"]) if turn["role"] == "user" else []:
            if block["type"] == "tool_result":
                text = "".join(b["text"] for b in as_blocks(block["content"]))
                out.append({"role": "tool", "tool_call_id": block["tool_use_id"], "content": text})
            else:
                out.append({"role": "user", "content": block["text"]})
        out += [message] if turn["role"] == "assistant" else []
    return out


# ---- a scripted provider ----

STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
         413: "request_too_large", 422: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error"}


class Scripted(OpenAI):
    plugin, base_path, call_id = "anthropic", "/v1", "toolu_01Ab-1_9x"
    codes = {400: None, 404: "model_not_found", 413: "request_too_large", 422: None}
    signed = [{"type": "thinking", "thinking": "Ghent, then.", "signature": "c2lnbmVk+/=="},
              {"type": "redacted_thinking", "data": "aGlkZGVu"}]

    def is_chat(self, path):
        return path.endswith("/messages")

    def last_text(self, body):
        said = [b["text"] for m in body["messages"] if m["role"] == "user" for b in as_blocks(m["content"]) if b["type"] == "text"]
        return said[-1]

    def key(self, headers):
        assert headers["anthropic-version"] and "authorization" not in headers
        return headers["x-api-key"]

    def schema(self, body):
        assert body["output_config"]["format"]["type"] == "json_schema"
        return body["output_config"]["format"]["schema"]

    def tools_used(self, body):
        blocks = [b for m in body["messages"] for b in as_blocks(m["content"])]
        return ([(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"],
                [(b["tool_use_id"], "".join(t["text"] for t in b["content"])) for b in blocks if b["type"] == "tool_result"])

    def error(self, status):
        return {"type": "error", "error": {"type": TYPES.get(status, "api_error"), "message": f"scripted {status}"}}

    def signed_answer(self, call):
        return self.message({"model": "fake-1"}, None, [*self.signed, self.block(call)], "tool_use")

    def signed_back(self, body):
        return body["messages"][1]["content"][:2]

    def message(self, body, script, content, stop):
        return {"id": "msg_scripted", "type": "message", "role": "assistant", "model": body["model"], "content": content,
                "stop_reason": stop, "stop_sequence": None,
                "usage": dict(zip(("input_tokens", "output_tokens"), script.usage if script else (7, 5)))}

    def block(self, call):
        return {"type": "tool_use", "id": call["id"], "name": call["function"]["name"],
                "input": json.loads(call["function"]["arguments"])}

    def stop(self, script):
        return "tool_use" if script.tool_calls else STOPS[script.finish]

    def whole(self, body, script):
        text = "".join(script.chunks or [self.last_text(body)])
        content = [self.block(c) for c in script.tool_calls or []] or [{"type": "text", "text": text}]
        return self.message(body, script, content, self.stop(script))

    def event(self, kind, **more):
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}  \n\n".encode()

    def opening(self, body, script):
        return [self.event("message_start", message=self.message(body, script, [], None)),
                self.event("content_block_start", index=0, content_block={"type": "text", "text": ""}), self.event("ping")]

    def piece(self, body, text):
        return [self.event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})]

    def call(self, body, index, call):
        begun = {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": {}}
        half = len(call["function"]["arguments"]) // 2
        pieces = call["function"]["arguments"][:half], call["function"]["arguments"][half:]
        return [self.event("content_block_stop", index=index),
                self.event("content_block_start", index=index + 1, content_block=begun),
                *(self.event("content_block_delta", index=index + 1, delta={"type": "input_json_delta", "partial_json": p})
                  for p in pieces)]

    def failing(self, body):
        return [self.event("error", error={"type": "overloaded_error", "message": "scripted end"})]

    def closing(self, body, script):
        return [self.event("content_block_stop", index=len(script.tool_calls or [])),
                self.event("message_delta", delta={"stop_reason": self.stop(script), "stop_sequence": None},
                           usage={"output_tokens": script.usage[1]})]

    def ending(self):
        return [self.event("message_stop")]


WIRE = Wire(
    name="anthropic", model="claude-haiku-4-5",
    is_answer=lambda path: path.split("?")[0].endswith("/messages"),
    read=read, wrong=wrong, taste=taste, ask_again=ask_again,
    refusals={
        "err-400-context": (400, "context_length_exceeded"), "err-401": (502, "upstream_credentials"),
        "is-err-429": (429, "upstream_rate_limited"), "is-err-529": (502, "all_attempts_failed"),
        "is-stream-overloaded-first": (502, "all_attempts_failed"),
        "error-400": (400, None), "error-401": (502, "upstream_credentials"), "error-404": (404, "model_not_found"),
        "error-413": (413, "request_too_large"), "error-429": (429, "upstream_rate_limited"),
        "error-529": (502, "all_attempts_failed"), "error-context": (400, "context_length_exceeded"),
        "error-credit": (502, "upstream_credentials"), "error-filtered": (400, "content_filter"),
        "stream-error-first": (502, "all_attempts_failed"),
    },
    refused={"chat-json-mode": "response_format", "chat-legacy-functions": "function_call", "chat-n2": "n",
             "chat-stream-n2": "n", "chat-web-search": "web_search_options", "stream-n2": "n", "whole-old-limit": "n"},
    twins={"matrix-tc-auto-1": ("matrix-tc-auto-1", ()), "matrix-tc-auto-2": ("matrix-tc-auto-2", ()),
           "matrix-tc-required": ("matrix-tc-required", ()),
           "matrix-tc-none": ("matrix-tc-none", ("messages",)),  # it asks for something else
           "chat-stop-seq": ("stop-seq", ())},
    turns=[("matrix-tc-auto-1", "matrix-tc-auto-2"), ("tool-parallel-1", "tool-parallel-2"), ("stream-tool-1", "stream-tool-2"),
           ("thinking-tool-1", "thinking-tool-2"), ("whole-thinking-1", "whole-thinking-2"),
           ("stream-thinking-1", "stream-thinking-2")],
    told=({"seed": 7, "verbosity": "low", "temperature": 1.5, "presence_penalty": 0}, "seed,verbosity,temperature"),
    cut_off=("stream-error-mid",), scripted=Scripted(),
)
