-- ab: an experiment: users are split between two models and stay where they are, for as long as the experiment has this
-- name. The side stands in the trace, to compare by.
-- SPDX-License-Identifier: MIT

return {
  kind = "router",
  name = "ab",
  summary = "Splits users between two models",
  options = {
    experiment = { type = "string", default = "ab", help = "another name splits anew" },
    a = { type = "string", help = "a model" },
    b = { type = "string", help = "the other model" },
    share_b = { type = "number", minimum = 0, maximum = 1, default = 0.5, help = "of users who get b" },
  },

  pick = function(req, targets, options)
    local a, b = targets:of(options.a), targets:of(options.b)
    local who = req.user or req.session or req.key
    local is_b = latenza.hash01(options.experiment, who) < options.share_b
    local mine, other = a, b
    if is_b then mine, other = b, a end
    -- Who is served by the other side because its own is not there belongs to neither.
    if mine then req.tags[options.experiment] = is_b and "b" or "a" end
    return { mine or other, mine and other }
  end,
}
