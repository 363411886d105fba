-- loop-brake: stops an agent that runs in circles: the same tool call again and again, or more tokens in a minute
-- than its session may ask for.
-- SPDX-License-Identifier: MIT

-- How often each call (tool and arguments) stands in the conversation; the most frequent one.
local function most_repeated(messages)
  local count, most, name = {}, 0, nil
  for _, message in ipairs(messages) do
    for _, call in ipairs(message.tool_calls or {}) do
      local f = call["function"]
      if f then
        local what = tostring(f.name) .. "\0" .. tostring(f.arguments)
        count[what] = (count[what] or 0) + 1
        if count[what] > most then most, name = count[what], f.name end
      end
    end
  end
  return most, name
end

return {
  kind = "guardrail",
  name = "loop-brake",
  summary = "Stops agents that repeat a tool call, or ask for too many tokens a minute",
  on = { "request" },
  options = {
    same_call = { type = "integer", minimum = 1, default = 5, help = "a call may stand in a conversation so often" },
    tokens_per_minute = { type = "integer", minimum = 0, default = 0, help = "of one session (else user, else key); 0: no limit" },
  },

  check = function(req, options)
    if req.route ~= "chat" then return latenza.pass() end
    local most, name = most_repeated(req.body.messages or {})
    if most > options.same_call then
      return latenza.block("loop.same_call", ("The tool %s was called %d times with the same arguments."):format(name, most))
    end
    if options.tokens_per_minute > 0 then
      local who = req.session or req.user or req.key
      local tokens = latenza.shared.add("loop-brake:" .. who, req.prompt_tokens, 60)
      if tokens > options.tokens_per_minute then
        return latenza.block("loop.velocity", ("More than %d tokens within a minute."):format(options.tokens_per_minute))
      end
    end
    return latenza.pass()
  end,
}
