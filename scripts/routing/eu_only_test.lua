local t = latenza.test

local targets = {
  { provider = "us", model = "m", region = "us-east-1", healthy = true },
  { provider = "eu1", model = "m", region = "eu", healthy = true },
  { provider = "eu2", model = "m", region = "eu-west-1", healthy = true },
  { provider = "odd", model = "m", region = "europa", healthy = true },
  { provider = "none", model = "m", healthy = true },
}

t.case("only who is inside is tried", function()
  t.equal(t.router("eu-only", { targets = targets }).order, { "eu1/m", "eu2/m" })
end)

t.case("nobody inside is a refusal, never a way out", function()
  local out = t.router("eu-only", { targets = { targets[1], targets[5] } })
  t.equal(out.verdict, "block")
  t.equal(out.code, "region.none")
end)

t.case("some keys may go anywhere", function()
  local out = t.router("eu-only", { targets = targets, key_metadata = { anywhere = "true" }, options = { unless = "anywhere" } })
  t.equal(#out.order, 5)
end)
