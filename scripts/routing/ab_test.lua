local t = latenza.test

local targets = {
  { provider = "p", model = "one", healthy = true },
  { provider = "q", model = "two", healthy = true },
}

local function ask(user, more)
  local options = { a = "one", b = "two" }
  for name, value in pairs(more or {}) do options[name] = value end
  return t.router("ab", { targets = targets, user = user, key = "k", options = options })
end

t.case("users stay where they are", function()
  local b = 0
  for i = 1, 200 do
    local first = ask("u" .. i)
    t.equal(ask("u" .. i).order, first.order)
    t.equal(first.tags.ab, first.order[1] == "q/two" and "b" or "a")
    if first.tags.ab == "b" then b = b + 1 end
  end
  t.equal(b > 70 and b < 130, true)
end)

t.case("another name splits anew", function()
  local moved = 0
  for i = 1, 100 do
    if ask("u" .. i).order[1] ~= ask("u" .. i, { experiment = "second" }).order[1] then moved = moved + 1 end
  end
  t.equal(moved > 20 and moved < 80, true)
end)

t.case("the other side is who is asked next", function()
  t.equal(#ask("u").order, 2)
  local only = t.router("ab", { targets = { targets[1] }, user = "u", options = { a = "one", b = "two", share_b = 1 } })
  t.equal(only.order, { "p/one" })
  t.equal(only.tags.ab, nil)
end)
