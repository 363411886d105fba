-- budget: as an organization's budget is spent, requests go to cheaper models and get shorter answers, before they
-- are refused.
--   below `soft`      the order as it stands
--   soft to hard      cheapest first, answers capped
--   from `hard` on    refused, unless the finance service grants an exception
-- SPDX-License-Identifier: MIT

-- The service is asked below an address that the configuration grants:
--   policies: [ { file: budget.lua, http: ["https://finance.internal/"] } ]
local function is_granted(organization, url)
  if not url then return false end
  local reply, why = latenza.http.get(url .. "/" .. organization, { timeout_ms = 300 })
  if not reply then
    latenza.log.warn("the exception service did not answer: " .. why)
    return false
  end
  if reply.status ~= 200 then return false end
  local fine, answer = pcall(latenza.json.decode, reply.body)
  return fine and type(answer) == "table" and answer.granted == true
end

local function used_of(budget)
  if not budget or budget.limit_eur <= 0 then return 0 end
  return budget.spent_eur / budget.limit_eur
end

return {
  kind = "router",
  name = "budget",
  summary = "Cheaper models and shorter answers as a budget is spent",
  options = {
    scope = { type = "string", enum = { "key", "assistant", "organization" }, default = "organization", help = "whose budget" },
    soft = { type = "number", minimum = 0, maximum = 1, default = 0.8, help = "share of the budget from which to save" },
    hard = { type = "number", minimum = 0, maximum = 1, default = 1, help = "share from which to refuse" },
    cap = { type = "integer", minimum = 1, default = 512, help = "tokens of an answer when saving" },
    exceptions_url = { type = "string", format = "uri", optional = true, help = "who grants exceptions: URL/ORGANIZATION" },
  },

  pick = function(req, targets, options)
    local used = used_of(latenza.budget(options.scope))
    if used < options.soft then return targets end
    if used >= options.hard and not is_granted(req.organization, options.exceptions_url) then
      return latenza.block("budget.spent", ("%.0f %% of the budget is spent."):format(used * 100))
    end
    req:limit_output(options.cap)
    req.tags.budget = "saving"
    return targets:sorted(function(a, b) return (a.cost_eur or math.huge) < (b.cost_eur or math.huge) end)
  end,
}
