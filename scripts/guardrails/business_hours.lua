-- business-hours: outside of the hours a request is refused, or served by a cheaper model.
--
-- The hours are of a fixed offset from UTC: a script knows no time zones, so summer time is the operator's to set.
-- SPDX-License-Identifier: MIT

local names = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" }

local function minutes_of(text)
  local hours, minutes = text:match("^(%d%d):(%d%d)$")
  if not hours then error("business-hours: from and to are written HH:MM") end
  return tonumber(hours) * 60 + tonumber(minutes)
end

-- The day's name and the minute of the day. 1970 began on a Thursday.
local function here(now, offset_minutes)
  local minutes = now // 60 + offset_minutes
  return names[(minutes // 1440 + 3) % 7 + 1], minutes % 1440
end

local function is_open(options)
  local day, minute = here(latenza.time(), options.utc_offset_minutes)
  for _, open in ipairs(options.days) do
    if open == day then
      return minute >= minutes_of(options.from) and minute < minutes_of(options.to)
    end
  end
  return false
end

return {
  kind = "guardrail",
  name = "business-hours",
  summary = "Refuses requests, or sends them to another model, outside of business hours",
  on = { "request" },
  options = {
    from = { type = "string", default = "08:00", help = "the first minute, as HH:MM" },
    to = { type = "string", default = "18:00", help = "the minute after the last" },
    days = { type = "array", items = { type = "string", enum = names }, default = { "mon", "tue", "wed", "thu", "fri" },
      help = "days that are open" },
    utc_offset_minutes = { type = "integer", minimum = -720, maximum = 840, default = 0, help = "120 is UTC+2" },
    model = { type = "string", optional = true, help = "serves what comes outside; without it that is refused" },
  },

  check = function(_, options)
    if is_open(options) then return latenza.pass() end
    if options.model then return latenza.use_model(options.model, "outside of business hours") end
    return latenza.block("hours.closed", ("Open from %s to %s."):format(options.from, options.to))
  end,
}
