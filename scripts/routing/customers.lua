-- customers: each customer has models of its own, in order of preference. The customer's name is in the key's metadata,
-- where nobody but the operator writes it.
-- SPDX-License-Identifier: MIT

return {
  kind = "router",
  name = "customers",
  summary = "Models by customer",
  options = {
    metadata = { type = "string", default = "customer", help = "the member of the key's metadata that names the customer" },
    customers = { type = "object", help = "name to list of models; \"*\" is everybody else: { acme: [gpt-4o], \"*\": [small] }" },
  },

  pick = function(req, targets, options)
    local customer = req.key_metadata[options.metadata]
    local models = options.customers and (options.customers[customer or "*"] or options.customers["*"])
    if not models then return latenza.block("customer.unknown", "This key's customer has no models.") end
    local order = {}
    for _, model in ipairs(models) do
      local target = targets:of(model)
      if target then order[#order + 1] = target end
    end
    if #order == 0 then
      return latenza.block("customer.no_model", "None of this customer's models can serve the request.")
    end
    req.tags.customer = customer or "*"
    return order
  end,
}
