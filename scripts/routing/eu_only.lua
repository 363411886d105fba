-- eu-only: requests whose key asks for it are served in certain regions and nowhere else. A provider's region stands in
-- the configuration (`region: eu`); one without a region is in none.
-- SPDX-License-Identifier: MIT

local function is_in(region, regions)
  for _, wanted in ipairs(regions) do
    if region and (region == wanted or region:sub(1, #wanted + 1) == wanted .. "-") then return true end
  end
  return false
end

return {
  kind = "router",
  name = "eu-only",
  summary = "Serves where the data may be, and nowhere else",
  options = {
    regions = { type = "array", items = { type = "string" }, default = { "eu" }, help = "eu is also eu-west-1" },
    unless = { type = "string", optional = true, help = "keys with this metadata set to \"true\" may go anywhere" },
  },

  pick = function(req, targets, options)
    if options.unless and req.key_metadata[options.unless] == "true" then return targets end
    local inside = {}
    for _, target in ipairs(targets) do
      if is_in(target.region, options.regions) then inside[#inside + 1] = target end
    end
    if #inside == 0 then
      return latenza.block("region.none", "No provider of this model is in the regions that are allowed.")
    end
    return inside
  end,
}
