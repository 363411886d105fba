-- language: serves a request with the model for the language that it is written in.
--
-- A language is told by its script (Greek, Cyrillic, Arabic, Hebrew, Chinese, Japanese, Korean) or by its most frequent
-- words (English, German, French, Spanish, Italian). A few words of a text are too little: then nothing changes.
-- SPDX-License-Identifier: MIT

local scripts = { -- first and last code point
  { "el", 0x370, 0x3ff }, { "ru", 0x400, 0x4ff }, { "he", 0x590, 0x5ff }, { "ar", 0x600, 0x6ff },
  { "ja", 0x3040, 0x30ff }, { "zh", 0x4e00, 0x9fff }, { "ko", 0xac00, 0xd7af },
}

local words = {
  en = "the of and to in is that it for you with on this are be have what how",
  de = "der die das und ist nicht ein eine ich zu mit den auf für wie was sich von",
  fr = "le la les et est un une des que pour dans qui pas je vous sur avec ce",
  es = "el la los las de y es que un una en por con para como qué no se",
  it = "il lo la gli e è di che un una per con non sono come cosa del della",
}

local language_of_word = {}
for language, list in pairs(words) do
  for word in list:gmatch("%S+") do
    local languages = language_of_word[word] or {}
    languages[#languages + 1] = language
    language_of_word[word] = languages
  end
end

local FEW = 3          -- letters or words that decide nothing
local BYTES = 4000     -- of a text that are looked at

local function by_script(text)
  local count = {}
  for _, code in utf8.codes(text) do
    if code >= 0x370 then
      for _, s in ipairs(scripts) do
        if code >= s[2] and code <= s[3] then count[s[1]] = (count[s[1]] or 0) + 1 end
      end
    end
  end
  -- Japanese is written with Chinese characters as well.
  if (count.ja or 0) > FEW then return "ja" end
  local best, most = nil, FEW
  for language, n in pairs(count) do
    if n > most then best, most = language, n end
  end
  return best
end

local function by_words(text)
  local count = {}
  for word in text:lower():gmatch("[%a\128-\255]+") do
    for _, language in ipairs(language_of_word[word] or {}) do count[language] = (count[language] or 0) + 1 end
  end
  local best, most, second = nil, FEW - 1, 0
  for _, language in ipairs({ "en", "de", "fr", "es", "it" }) do
    local n = count[language] or 0
    if n > most then best, most, second = language, n, most elseif n > second then second = n end
  end
  return most > second and best or nil
end

local function last_user_text(texts)
  for i = #texts, 1, -1 do
    if texts[i].role == "user" and texts[i].kind == "prose" then return texts[i].text end
  end
end

-- Up to so many bytes, and no character in two.
local function beginning(text)
  if #text <= BYTES then return text end
  return text:sub(1, utf8.offset(text, 0, BYTES) - 1)
end

return {
  kind = "guardrail",
  name = "language",
  summary = "Serves a request with the model for its language",
  on = { "request" },
  options = {
    models = { type = "object", help = "language to model: { de: mistral-large-latest, ja: gpt-4o }" },
  },

  check = function(req, options)
    local text = last_user_text(req.texts)
    if not text then return latenza.pass() end
    text = beginning(text)
    local language = by_script(text) or by_words(text)
    if not language then return latenza.pass() end
    req.tags.language = language
    local model = options.models and options.models[language]
    if type(model) ~= "string" or model == req.model then return latenza.pass() end
    return latenza.use_model(model, "the prompt is in " .. language)
  end,
}
