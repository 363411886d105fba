local t = latenza.test

local function ask(tokens, options)
  return t.guardrail("prompt-size", { text = "x", prompt_tokens = tokens, options = options })
end

t.case("what is small enough passes", function()
  t.equal(ask(8000).verdict, "pass")
end)

t.case("what is larger is refused", function()
  local out = ask(8001)
  t.equal(out.verdict, "block")
  t.equal(out.code, "prompt.too_large")
end)

t.case("or goes to another model, up to its own limit", function()
  local options = { model = "long-1", refuse_above = 100000 }
  t.equal(ask(9000, options).code, "long-1")
  t.equal(ask(100001, options).verdict, "block")
end)
