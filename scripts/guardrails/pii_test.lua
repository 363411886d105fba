local t = latenza.test

t.case("the same value keeps its placeholder", function()
  local out = t.guardrail("pii", { text = "from a@x.org to b@y.org, cc a@x.org" })
  t.equal(out.text, "from [EMAIL_1] to [EMAIL_2], cc [EMAIL_1]")
  t.equal(out.verdict, "pass")
end)

t.case("a card number is one, a number like it is none", function()
  t.equal(t.guardrail("pii", { text = "card 4111 1111 1111 1111." }).text, "card [CARD_1].")
  t.equal(t.guardrail("pii", { text = "order 4111111111111112345." }).text, "order 4111111111111112345.")
end)

t.case("a phone number has 9 to 15 digits", function()
  t.equal(t.guardrail("pii", { text = "call +49 (30) 1234567" }).text, "call [PHONE_1]")
  t.equal(t.guardrail("pii", { text = "in 2024-2025" }).text, "in 2024-2025")
end)

t.case("a stream cut anywhere gives the result of the whole text", function()
  local text = "anna@mail.example.com pays with 4111 1111 1111 1111, call +33 1 23 45 67 89."
  local whole = t.guardrail("pii", { text = text, phase = "response" }).text
  for every = 1, 9 do
    t.equal(t.guardrail("pii", { text = text, phase = "response", stream_every = every }).text, whole)
  end
end)

t.case("block refuses requests and masks answers", function()
  local options = { block = true }
  t.equal(t.guardrail("pii", { text = "a@x.org", options = options }).verdict, "block")
  local answer = t.guardrail("pii", { text = "a@x.org", options = options, phase = "response" })
  t.equal(answer.verdict, "pass")
  t.equal(answer.text, "[EMAIL_1]")
end)
