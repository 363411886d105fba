local t = latenza.test

local targets = {
  { provider = "a", model = "old", healthy = true, error_rate = 0 },
  { provider = "b", model = "new", healthy = true, error_rate = 0 },
}

local function order(more, options)
  local document = { targets = targets, key = "k", prompt_tokens = 10 }
  for name, value in pairs(more or {}) do document[name] = value end
  document.options = { stable = "old", canary = "new", share = 0.5 }
  for name, value in pairs(options or {}) do document.options[name] = value end
  return t.router("canary", document).order
end

t.case("a share of users, always the same ones", function()
  local there = 0
  for i = 1, 200 do
    local first = order({ user = "u" .. i })[1]
    t.equal(order({ user = "u" .. i })[1], first)
    if first == "b/new" then there = there + 1 end
  end
  t.equal(there > 70 and there < 130, true)
end)

t.case("share 0 sends nobody, 1 everybody", function()
  t.equal(order({ user = "u" }, { share = 0 }), { "a/old" })
  t.equal(order({ user = "u" }, { share = 1 }), { "b/new", "a/old" })
end)

t.case("a header chooses", function()
  t.equal(order({ headers = { ["x-canary"] = "always" } }, { share = 0 }), { "b/new", "a/old" })
  t.equal(order({ headers = { ["x-canary"] = "never" } }, { share = 1 }), { "a/old" })
end)

t.case("one that fails, or a long prompt, stays on the stable side", function()
  local failing = { targets[1], { provider = "b", model = "new", healthy = true, error_rate = 0.5 } }
  t.equal(order({ targets = failing }, { share = 1 }), { "a/old" })
  t.equal(order({ prompt_tokens = 50000 }, { share = 1 }), { "a/old" })
end)

t.case("without the canary all is as it was", function()
  t.equal(order({ targets = { targets[1] } }, { share = 1 }), { "a/old" })
end)
