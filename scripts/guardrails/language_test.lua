local t = latenza.test

local models = { de = "german-1", ja = "japanese-1", ru = "russian-1" }

local function ask(text)
  return t.guardrail("language", { text = text, model = "any-1", options = { models = models } })
end

t.case("a language is told by its words", function()
  local out = ask("Wie ist das Wetter in Berlin und was soll ich mit der Jacke machen?")
  t.equal(out.verdict, "use_model")
  t.equal(out.code, "german-1")
  t.equal(out.tags.language, "de")
end)

t.case("or by its script", function()
  t.equal(ask("東京の天気はどうですか。明日は雨でしょうか。").code, "japanese-1")
  t.equal(ask("Какая сегодня погода?").code, "russian-1")
end)

t.case("what has no model of its own stays", function()
  local out = ask("What is the weather in the city and how is it for you?")
  t.equal(out.verdict, "pass")
  t.equal(out.tags.language, "en")
end)

t.case("a few words decide nothing", function()
  t.equal(ask("der Hund").verdict, "pass")
  t.equal(ask("4711").verdict, "pass")
end)
