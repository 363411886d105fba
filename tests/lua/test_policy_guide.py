"""scripts/README.md does what it says: its files are written and its commands run, in their order.

SPDX-License-Identifier: MIT
"""

import pathlib
import re
import shlex

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"
GUIDE = (SCRIPTS / "README.md").read_text()
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.S)


def test_the_guide_leads_to_a_guardrail_that_serves(make_gateway, provider):
    gateway = make_gateway(provider=provider)
    ran = []
    for language, text in BLOCK.findall(GUIDE):
        if language == "lua":
            name = re.match(r"-- (\w+\.lua)\n", text).group(1)
            (gateway.folder / "policies" / name).write_text(text)
        elif language == "yaml":
            gateway.change_config(policies=[{"file": "policies/codenames.lua"}],
                                  guardrails={"codenames": {"use": "lua:codenames", "default_on": True}})
            assert "{ file: policies/codenames.lua }" in text and "codenames: { use: lua:codenames, default_on: true }" in text
            gateway.run("reload")
        else:
            assert language == "sh"
            for line in text.splitlines():
                words = shlex.split(line)
                assert words[0] == "latenza"
                done = gateway.run(*words[1:])
                ran.append((line, done.stdout))
    said = dict(ran)
    assert "3 of 3 cases passed" in said["latenza policy test policies/codenames.lua"]
    assert "codenames.many" in next(out for line, out in ran if "most=1" in line)
    assert "[project] is late" in next(out for line, out in ran if "--stream-every" in line)
    assert "[project]" in ran[-1][1]
    key = gateway.key("k")
    gateway.chat(key, text="is PROJ-17 late?")
    assert provider.last()["body"]["messages"][0]["content"] == "is [project] late?"


def test_the_guide_names_each_script_with_all_of_its_options():
    rows = dict(re.findall(r"(?m)^\| (\w+\.lua) \| (.*) \|$", GUIDE))
    files = [p for p in SCRIPTS.glob("*/*.lua") if not p.stem.endswith("_test")]
    assert sorted(rows) == sorted(p.name for p in files) and len(files) == 10
    for path in files:
        options = re.findall(r"(?m)^    (\w+) = \{ type =", path.read_text())
        assert options and all(f"`{o}`" in rows[path.name] for o in options), path.name
