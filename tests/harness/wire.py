"""What a row of wires.py is, and OpenAI's answers as a client reads them.

SPDX-License-Identifier: MIT
"""

import collections
import dataclasses
import json
from typing import Callable

# What an answer says, whoever's words it comes in. calls: (id, name, arguments as an object), id None where the provider
# gives none; usage: (prompt, completion, cached, reasoning), None where it says nothing.
Said = collections.namedtuple("Said", "text reasoning calls finish usage", defaults=("", "", (), None, None))


@dataclasses.dataclass
class Wire:
    name: str                       # of the plugin, and of the folders in wire/
    model: str                      # what requests of OpenAI's are sent to; the last word in the request's rules
    is_answer: Callable             # of an exchange's path: does the gateway ask this way?
    read: Callable                  # exchange -> Said: an answer of status 200
    wrong: Callable                 # (path, body) -> what is wrong with a request, as sentences
    refusals: dict                  # name of an exchange that failed -> status and code for the client
    refused: dict                   # name of one of OpenAI's exchanges that this provider cannot serve -> param
    twins: dict                     # name of one of OpenAI's -> (name of the provider's, members not to compare)
    taste: Callable                 # a request without what its client might have said otherwise
    turns: list                     # (exchange, the one that follows it with the tools' results)
    ask_again: Callable             # (request of the second, message of the first) -> OpenAI's messages
    told: tuple = ({}, "")          # members of a request; what x-latenza-dropped says of them
    scripted: object = None         # provider.py's dialect: how a scripted provider speaks this wire
    cut_off: tuple = ()             # exchanges whose stream ends in an error
    theirs: str = ""                # the folder of others' recordings, if its name is another
    more: dict = dataclasses.field(default_factory=dict)  # options of the plugin

    def __post_init__(self):
        self.theirs = self.theirs or self.name


# ---- OpenAI's answers, as a client reads them ----

def events_of(raw):
    """The data of each event, by the rules of the specification and none of our code."""
    text = raw.decode().replace("\r\n", "\n").replace("\r", "\n")
    out = []
    for event in text.split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]
        if lines and "\n".join(lines):
            out.append("\n".join(lines))
    return out


def merge(into, delta):
    """As the SDKs do: texts grow, objects merge, lists by index; a list without an index comes once."""
    for key, value in delta.items():
        old = into.get(key)
        if old is None or key in ("index", "type", "role"):
            into[key] = value if not (isinstance(value, list) and value and isinstance(value[0], dict) and
                                      "index" in value[0]) else merge_list([], value)
        elif isinstance(value, str):
            into[key] = old + value
        elif isinstance(value, dict):
            merge(old, value)
        elif isinstance(value, list):
            merge_list(old, value)
    return into


def merge_list(old, pieces):
    for piece in pieces:
        while len(old) <= piece["index"]:
            old.append({})
        merge(old[piece["index"]], piece)
    return old


def message_of_stream(chunks):
    """The message that a client puts together, its finish_reason, and the usage."""
    message, finish, usage = {}, None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            merge(message, {k: v for k, v in choice["delta"].items() if v is not None})
            finish = choice["finish_reason"] or finish
    for call in message.get("tool_calls", []):
        call.pop("index")
    return message, finish, usage


def said_by(message, finish, usage):
    calls = tuple((c["id"], c["function"]["name"], json.loads(c["function"]["arguments"]))
                  for c in message.get("tool_calls") or ())
    counted = usage and (usage["prompt_tokens"], usage["completion_tokens"],
                         usage["prompt_tokens_details"]["cached_tokens"],
                         usage["completion_tokens_details"]["reasoning_tokens"])
    return Said(message.get("content") or "", message.get("reasoning_content") or "", calls, finish, counted)


# ---- what OpenAI's answers must look like: our own words, for where its schema is not at hand ----

def lacks(where, j, members):
    """members: name -> the types it may have."""
    if not isinstance(j, dict):
        return [f"{where} is no object"]
    return [f"{where}.{name} is {json.dumps(j.get(name))[:60]}" for name, types in members.items()
            if name not in j or not isinstance(j[name], types) or isinstance(j[name], bool)]


NONE = type(None)
TOP = {"id": str, "object": str, "created": int, "model": str, "choices": list}
FINISHES = {"stop", "length", "tool_calls", "content_filter", "function_call"}


def wrong_calls(where, calls, is_delta):
    out = []
    for i, call in enumerate(calls):
        is_first = not is_delta or "id" in call
        out += lacks(f"{where}[{i}]", call, {"function": dict, **({"id": str, "type": str} if is_first else {}),
                                             **({"index": int} if is_delta else {})})
        out += lacks(f"{where}[{i}].function", call.get("function"),
                     {"arguments": str, **({"name": str} if is_first else {})})
        if not is_delta:
            try:
                json.loads(call["function"]["arguments"])
            except ValueError:
                out.append(f"{where}[{i}]: the arguments are no JSON")
    return out


def wrong_usage(usage):
    out = lacks("usage", usage, {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int})
    if not out and usage["total_tokens"] != usage["prompt_tokens"] + usage["completion_tokens"]:
        out.append(f"usage: the total is not the sum: {usage}")
    return out


def wrong_answer(j, is_counted=True):
    """is_counted: by the provider; what nobody counted has no usage."""
    out = lacks("answer", j, {**TOP, "usage": dict} if is_counted else TOP) or (wrong_usage(j["usage"]) if is_counted else [])
    if j.get("object") != "chat.completion" or len(j.get("choices", [])) != 1:
        out.append("it is no chat.completion with one choice")
    for choice in j.get("choices", []):
        out += lacks("choice", choice, {"index": int, "message": dict, "finish_reason": str, "logprobs": NONE})
        message = choice.get("message", {})
        out += lacks("message", message, {"role": str, "content": (str, NONE), "refusal": (str, NONE)})
        out += wrong_calls("tool_calls", message.get("tool_calls", [{}][:0]), False)
        if choice.get("finish_reason") not in FINISHES or message.get("role") != "assistant":
            out.append(f"finish_reason or role: {choice}")
        if "tool_calls" in message and not message["tool_calls"]:
            out.append("tool_calls is empty")
    return out


def wrong_chunks(chunks):
    """All of a stream, [DONE] aside."""
    out, calls, roles = [], [], 0
    for number, j in enumerate(chunks):
        where = f"chunk {number}"
        out += lacks(where, j, TOP)
        if j.get("object") != "chat.completion.chunk" or (j.get("id"), j.get("created")) != \
                (chunks[0].get("id"), chunks[0].get("created")):
            out.append(f"{where}: object, id or time differ")
        out += wrong_usage(j["usage"]) if j.get("usage") else []
        for choice in j.get("choices", []):
            out += lacks(where, choice, {"index": int, "delta": dict, "finish_reason": (str, NONE)})
            delta = choice.get("delta", {})
            roles += "role" in delta
            if ("role" in delta) != (number == 0):
                out.append(f"{where}: the role stands in the first chunk alone")
            out += wrong_calls(f"{where}.tool_calls", delta.get("tool_calls", []), True)
            calls += [c.get("index") for c in delta.get("tool_calls", []) if "id" in c]
    if calls != list(range(len(calls))):
        out.append(f"tool calls begin at {calls}")
    return out

