local t = latenza.test

local targets = {
  { provider = "a", model = "m", region = "us", cost_eur = 0.001 },
  { provider = "b", model = "m", region = "eu", cost_eur = 0.003 },
  { provider = "c", model = "m", region = "eu", cost_eur = 0.002 },
}

t.case("the region first, and there the cheapest", function()
  t.equal(t.router("@NAME@", { targets = targets }).order, { "c/m", "b/m", "a/m" })
end)

t.case("the region is an option", function()
  t.equal(t.router("@NAME@", { targets = targets, options = { region = "us" } }).order[1], "a/m")
end)
