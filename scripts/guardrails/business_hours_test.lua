local t = latenza.test

local monday_noon = 1764590400 -- 2025-12-01 12:00 UTC, a Monday
local hour = 3600

local function verdict(now, options)
  return t.guardrail("business-hours", { text = "hello", now = now, options = options }).verdict
end

t.case("open is from the first minute to the one before the last", function()
  t.equal(verdict(monday_noon), "pass")
  t.equal(verdict(monday_noon - 4 * hour), "pass")
  t.equal(verdict(monday_noon - 4 * hour - 1), "block")
  t.equal(verdict(monday_noon + 6 * hour - 1), "pass")
  t.equal(verdict(monday_noon + 6 * hour), "block")
end)

t.case("weekends are closed, unless they are not", function()
  local saturday = monday_noon + 5 * 24 * hour
  t.equal(verdict(saturday), "block")
  t.equal(verdict(saturday, { days = { "sat" } }), "pass")
end)

t.case("the offset moves the day", function()
  local sunday_late = monday_noon - 13 * hour -- Sunday 23:00 UTC
  t.equal(verdict(sunday_late), "block")
  t.equal(verdict(sunday_late, { utc_offset_minutes = 600 }), "pass") -- Monday 09:00
end)

t.case("another model may serve outside", function()
  local out = t.guardrail("business-hours", { text = "hello", now = monday_noon + 12 * hour, options = { model = "small" } })
  t.equal(out.verdict, "use_model")
  t.equal(out.code, "small")
end)
