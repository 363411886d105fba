local t = latenza.test

t.case("a request with the word is refused", function()
  local out = t.guardrail("@NAME@", { text = "a kestrel hovers" })
  t.equal(out.verdict, "block")
  t.equal(out.code, "@NAME@.word")
end)

t.case("others pass", function()
  t.equal(t.guardrail("@NAME@", { text = "a buzzard soars" }).verdict, "pass")
end)

t.case("the word is taken out of answers, wherever a stream is cut", function()
  for every = 1, 9 do
    local out = t.guardrail("@NAME@", { phase = "response", text = "the kestrel hovers", stream_every = every })
    t.equal(out.text, "the *** hovers")
  end
end)

t.case("the word is an option", function()
  local options = { word = "c++" }
  t.equal(t.guardrail("@NAME@", { text = "I like c++", options = options }).verdict, "block")
  t.equal(t.guardrail("@NAME@", { text = "I like c++", phase = "response", options = options }).text, "I like ***")
end)
