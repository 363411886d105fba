-- @NAME@: a guardrail. Change what it looks for, then `latenza policy test`.

return {
  kind = "guardrail",
  name = "@NAME@",
  summary = "Refuses requests with a word, takes it out of answers",
  on = { "request", "response" },
  options = {
    word = { type = "string", default = "kestrel", help = "a word that nobody is to say" },
  },

  check = function(req, options)
    for _, part in ipairs(req.texts) do
      if req.phase == "request" then
        if part.text:find(options.word, 1, true) then
          return latenza.block("@NAME@.word", "The request contains a word that is not allowed.")
        end
      else
        -- A pattern: a stream is held back where more text could complete it.
        part:replace(options.word:gsub("%p", "%%%0"), "***")
      end
    end
    return latenza.pass()
  end,
}
