-- canary: a fixed share of users is served by a new model, always the same ones. A tester may choose a side with a
-- header; a canary that fails loses its traffic at once.
-- SPDX-License-Identifier: MIT

return {
  kind = "router",
  name = "canary",
  summary = "Sends a share of users to a model on trial",
  options = {
    stable = { type = "string", help = "the model of everybody else" },
    canary = { type = "string", help = "the model on trial" },
    share = { type = "number", minimum = 0, maximum = 1, default = 0.05, help = "of users" },
    max_errors = { type = "number", minimum = 0, maximum = 1, default = 0.02, help = "above this share of errors nobody is sent there" },
    max_prompt = { type = "integer", minimum = 1, default = 32000, help = "tokens; longer prompts stay on the stable one" },
  },

  pick = function(req, targets, options)
    local stable, canary = targets:of(options.stable), targets:of(options.canary)
    local side = req.headers["x-canary"]
    if not canary or side == "never" or req.prompt_tokens > options.max_prompt then return { stable } end
    if side == "always" then return { canary, stable } end
    if not canary.healthy or canary.error_rate > options.max_errors then return { stable } end
    if latenza.hash01("canary", req.user or req.key) >= options.share then return { stable } end
    req.tags.canary = "true"
    return { canary, stable }
  end,
}
