local t = latenza.test

local targets = {
  { provider = "a", model = "dear", healthy = true, cost_eur = 0.02 },
  { provider = "b", model = "cheap", healthy = true, cost_eur = 0.001 },
  { provider = "c", model = "unknown", healthy = true },
}
local url = "https://finance.internal/exceptions"

local function ask(spent, more)
  local document = { targets = targets, organization = "acme",
    budgets = { organization = { limit_eur = 100, spent_eur = spent, reserved_eur = 0, resets_at = 0 } } }
  for name, value in pairs(more or {}) do document[name] = value end
  return t.router("budget", document)
end

t.case("below the soft limit nothing changes", function()
  local out = ask(79)
  t.equal(out.order[1], "a/dear")
  t.equal(out.output_limit, nil)
end)

t.case("then the cheapest is first and answers are capped", function()
  local out = ask(85)
  t.equal(out.order, { "b/cheap", "a/dear", "c/unknown" })
  t.equal(out.output_limit, 512)
  t.equal(out.tags.budget, "saving")
end)

t.case("what is spent is refused", function()
  local out = ask(100)
  t.equal(out.verdict, "block")
  t.equal(out.code, "budget.spent")
end)

t.case("unless an exception is granted", function()
  local http = { [url .. "/acme"] = { status = 200, body = '{"granted":true}' } }
  t.equal(ask(120, { http = http, options = { exceptions_url = url } }).order[1], "b/cheap")
  http[url .. "/acme"].body = '{"granted":false}'
  t.equal(ask(120, { http = http, options = { exceptions_url = url } }).verdict, "block")
  http[url .. "/acme"] = { status = 500, body = "granted" }
  t.equal(ask(120, { http = http, options = { exceptions_url = url } }).verdict, "block")
  t.equal(ask(120, { options = { exceptions_url = url } }).verdict, "block")
end)

t.case("who has no budget saves nothing", function()
  t.equal(t.router("budget", { targets = targets, organization = "acme" }).order[1], "a/dear")
end)
