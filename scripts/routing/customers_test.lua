local t = latenza.test

local targets = {
  { provider = "a", model = "large", healthy = true },
  { provider = "b", model = "small", healthy = true },
}
local options = { customers = { acme = { "large", "small" }, ["*"] = { "small" }, gone = { "nothing" } } }

local function ask(customer)
  return t.router("customers", { targets = targets, options = options, key_metadata = { customer = customer } })
end

t.case("a customer has its own", function()
  t.equal(ask("acme").order, { "a/large", "b/small" })
end)

t.case("everybody else has the others", function()
  t.equal(ask("somebody").order, { "b/small" })
  t.equal(ask(nil).order, { "b/small" })
end)

t.case("what cannot be served is refused", function()
  t.equal(ask("gone").code, "customer.no_model")
  local none = t.router("customers", { targets = targets, options = { customers = { acme = { "large" } } } })
  t.equal(none.code, "customer.unknown")
end)
