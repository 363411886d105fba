-- prompt-size: prompts above a size are refused, or go to a model for long ones.
-- SPDX-License-Identifier: MIT

return {
  kind = "guardrail",
  name = "prompt-size",
  summary = "Refuses prompts above a size, or sends them to a model for long ones",
  on = { "request" },
  options = {
    max_tokens = { type = "integer", minimum = 1, default = 8000, help = "of the prompt, as estimated" },
    model = { type = "string", optional = true, help = "serves what is larger; without it that is refused" },
    refuse_above = { type = "integer", minimum = 1, optional = true, help = "tokens that even this model does not get" },
  },

  check = function(req, options)
    local tokens = req.prompt_tokens
    if tokens <= options.max_tokens then return latenza.pass() end
    if options.model and not (options.refuse_above and tokens > options.refuse_above) then
      return latenza.use_model(options.model, "the prompt is long")
    end
    return latenza.block("prompt.too_large",
      ("The prompt has about %d tokens; %d are allowed."):format(tokens, options.refuse_above or options.max_tokens))
  end,
}
