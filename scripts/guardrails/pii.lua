-- pii: e-mail addresses, card numbers and phone numbers become placeholders, the same value the same one
-- throughout a request: the model can still tell the first address from the second.
--
-- The plugin `pii` knows more kinds and is faster; this is the one to change.
-- SPDX-License-Identifier: MIT

local function digits_of(text)
  local digits = text:gsub("%D", "")
  return #digits
end

-- In this order: what one kind has taken, the next ones do not look at.
local kinds = {
  { tag = "EMAIL", pattern = "[%w._%%+-]+@[%w-]+%.[%w.-]*%w" },
  { tag = "CARD", pattern = "%d[%d -]+%d", is = function(found) return latenza.luhn(found, 13, 19) end },
  { tag = "PHONE", pattern = "%+?%d[%d ()-]+%d", is = function(found)
    local n = digits_of(found)
    return n >= 9 and n <= 15
  end },
}

local function placeholder(slot, tag, value)
  if not slot[value] then
    slot.count = (slot.count or 0) + 1
    slot[value] = ("[%s_%d]"):format(tag, slot.count)
  end
  return slot[value]
end

return {
  kind = "guardrail",
  name = "pii",
  summary = "E-mail addresses, card and phone numbers become placeholders",
  on = { "request", "response" },
  options = {
    block = { type = "boolean", default = false, help = "refuse requests with personal data instead" },
  },

  check = function(req, options)
    local found_any = false
    for _, part in ipairs(req.texts) do
      for _, kind in ipairs(kinds) do
        part:replace(kind.pattern, function(found)
          if kind.is and not kind.is(found) then return nil end
          found_any = true
          return placeholder(req.slot, kind.tag, found)
        end)
      end
    end
    if found_any and options.block and req.phase == "request" then
      return latenza.block("pii.found", "The request contains personal data.")
    end
    return latenza.pass()
  end,
}
