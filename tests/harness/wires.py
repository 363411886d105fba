"""The providers whose wire is not OpenAI's, a row each: how their recordings are replayed, read and checked.

A new one: wire_NAME.py with a Wire (wire.py), its place in WIRES, and exchanges of ours in tests/data/wire/NAME. Beside the
three files of any exchange (replay.py) one of ours may have NAME.openai.json, the request of OpenAI's that must become
exactly NAME.request.json. test_wires.py then has all its cases.

SPDX-License-Identifier: MIT
"""

from harness import wire_anthropic, wire_google, wire_mistral

WIRES = {wire.name: wire for wire in (wire_anthropic.WIRE, wire_google.WIRE, wire_mistral.WIRE)}
