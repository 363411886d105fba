-- @NAME@: a router. Change how it chooses, then `latenza policy test`.

local function cheaper(a, b)
  return (a.cost_eur or math.huge) < (b.cost_eur or math.huge)
end

return {
  kind = "router",
  name = "@NAME@",
  summary = "Prefers one region, and there the cheapest",
  options = {
    region = { type = "string", default = "eu", help = "where requests are served if they can be" },
  },

  -- Who is not in the list that is returned is not tried.
  pick = function(req, targets, options)
    local near, far = {}, {}
    for _, target in ipairs(targets:sorted(cheaper)) do
      local list = target.region == options.region and near or far
      list[#list + 1] = target
    end
    for _, target in ipairs(far) do near[#near + 1] = target end
    return near
  end,
}
