local t = latenza.test

local function calls(n, arguments)
  local messages = { { role = "user", content = "find it" } }
  for i = 1, n do
    messages[#messages + 1] = { role = "assistant", tool_calls = {
      { id = "c" .. i, type = "function", ["function"] = { name = "search", arguments = arguments and arguments(i) or "{}" } } } }
    messages[#messages + 1] = { role = "tool", tool_call_id = "c" .. i, content = "nothing" }
  end
  return { messages = messages }
end

t.case("the sixth same call is one too many", function()
  t.equal(t.guardrail("loop-brake", { route = "chat", body = calls(5) }).verdict, "pass")
  local out = t.guardrail("loop-brake", { route = "chat", body = calls(6) })
  t.equal(out.verdict, "block")
  t.equal(out.code, "loop.same_call")
end)

t.case("calls that differ go on", function()
  local body = calls(20, function(i) return ('{"page":%d}'):format(i) end)
  t.equal(t.guardrail("loop-brake", { route = "chat", body = body }).verdict, "pass")
end)

t.case("a session that asks for too much a minute is stopped, another is not", function()
  local function ask(session, tokens)
    return t.guardrail("loop-brake", { route = "chat", body = calls(0), session = session, prompt_tokens = tokens,
      options = { tokens_per_minute = 1000 } }).verdict
  end
  t.equal(ask("a", 600), "pass")
  t.equal(ask("a", 600), "block")
  t.equal(ask("b", 600), "pass")
end)
