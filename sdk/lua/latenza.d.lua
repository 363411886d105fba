---@meta latenza
-- What the editor knows about `latenza` (LuaCATS). Made from core/lua/api.c; tests/unit/test_script_api says how.

---@alias Phase "request"|"response"
---@class Verdict  made by latenza.pass, block, flag or use_model

---@class Guardrail  what a guardrail's file returns
---@field kind "guardrail"
---@field name string  the configuration writes use: lua:NAME
---@field summary string?  one line
---@field on Phase[]  when it is asked
---@field overlap integer?  bytes of a stream that stay back where replace() and hold() say nothing; 64
---@field options table<string, table>?  each a JSON Schema, plus help and optional
---@field check fun(req: Request, options: table): Verdict

---@class Router  what a router's file returns
---@field kind "router"
---@field name string  the configuration writes use: lua:NAME
---@field summary string?  one line
---@field options table<string, table>?  each a JSON Schema, plus help and optional
---@field pick fun(req: Request, targets: Targets, options: table): Target[]|Verdict  the order in which targets are tried; who is not in it is not tried

---@class Request  the request, `req`
---@field id string
---@field phase Phase
---@field stream boolean  the caller asked for a stream
---@field route string  "chat", "embeddings", ...
---@field model string  as asked for
---@field key string  its id, never the secret
---@field assistant string?  id
---@field organization string  id
---@field user string?
---@field session string?
---@field prompt_tokens integer  estimate
---@field max_output_tokens integer?  nil: the caller set none
---@field headers table<string,string>  by name; never one that may carry a secret
---@field metadata table<string,string>  the request's
---@field key_metadata table<string,string>  the key's
---@field tags table<string,string>  write: shown in the trace and its search
---@field texts Text[]  guardrails: prompts, answers, tool arguments and results
---@field body table  the JSON; guardrails on requests: assign to its members to edit it
---@field slot table  yours, for the life of the request: texts, numbers, booleans and tables of them, 64 KiB
---Lowers the limit of the answer; routers too.
---@field limit_output fun(self: Request, tokens: integer)

---@class Text  one of `req.texts`
---@field role "system"|"user"|"assistant"|"tool"
---@field kind "prose"|"tool_arguments"|"tool_result"|"reasoning"
---@field name string?  the tool's name
---@field text string  on a stream: what is out already, what is held, what is new
---@field plain string  normalised: NFKC, invisible characters out, confusables folded; to look for words in, not to edit
---@field seen integer  bytes that are out already: context, not editable
---@field final boolean  nothing follows
---Replaces every match and says how many. What was replaced before is not looked at again; empty matches are passed over. On a stream a match that could still begin or grow at the end is held back until it is certain.
---@field replace fun(self: Text, pattern: string, by: string|table|fun(found: string, ...: string): string?): integer
---Replaces bytes. Edits must not overlap.
---@field edit fun(self: Text, from: integer, to: integer, with: string)
---On a stream: releases nothing from this byte on yet.
---@field hold fun(self: Text, from: integer)

---@class Targets: Target[]  a list of Target
---The target that serves the model, a healthy one if there is.
---@field of fun(self: Targets, model: string): Target?
---A list of all of them in order; equal ones stay as listed.
---@field sorted fun(self: Targets, less: fun(a: Target, b: Target): boolean): Target[]

---@class Target  a model at a provider
---@field provider string
---@field model string  canonical id
---@field region string?
---@field healthy boolean
---@field capabilities table<string,boolean>  stream, tools, vision, schema, reason, audio, files
---@field context_tokens integer
---@field max_output_tokens integer
---@field cost_eur number?  this request's estimate; nil: no price
---@field quality number?  0..1
---@field weight number
---@field ttft_ms number?  average of this request's mode; nil: not known yet
---@field ms_per_token number?  likewise
---@field error_rate number  0..1
---@field load number  0 idle .. 1 full; nobody measures it yet, so it is 0

latenza = { http = {}, shared = {}, json = {}, log = {}, test = {} }
---@type any  what null is
latenza.json.null = nil

---Lets it pass.
---@return Verdict
---@nodiscard
function latenza.pass() end

---Refuses the request or the answer; routers too.
---@param code string  machine-readable, as in "pii.email"
---@param message string  shown to the caller
---@return Verdict
---@nodiscard
function latenza.block(code, message) end

---Lets it pass and records a finding. Guardrails only.
---@param code string
---@param message string
---@return Verdict
---@nodiscard
function latenza.flag(code, message) end

---Serves this request with that model instead. Guardrails on requests only.
---@param model string
---@param why string
---@return Verdict
---@nodiscard
function latenza.use_model(model, why) end

---nil: none is set.
---@param scope "key"|"assistant"|"organization"
---@return {limit_eur: number, spent_eur: number, reserved_eur: number, resets_at: integer}?
function latenza.budget(scope) end

---A stable number in [0,1) from texts: the same on every worker, host and release.
---@param ... string
---@return number
function latenza.hash01(...) end

---Are these min to max digits with a right check digit, as of a card?
---@param digits string  blanks and dashes do not count
---@param min integer
---@param max integer
---@return boolean
function latenza.luhn(digits, min, max) end

---The text as Text.plain has it: for words that are looked for there.
---@param text string
---@return string
function latenza.plain(text) end

---Unix seconds.
---@return integer
function latenza.time() end

---In [0,1).
---@return number
function latenza.random() end

---Counts in a metric of the script's own.
---@param metric string  as it stands in the script: latenza.count("hits")
---@param by number?
function latenza.count(metric, by) end

---Waits without blocking the worker. At most 4 calls a visit. nil and a reason when no answer came.
---@param url string  below an address that the configuration grants
---@param opts {timeout_ms?: integer, headers?: table<string,string>}?
---@return {status: integer, body: string, headers: table<string,string>}?, string?
function latenza.http.get(url, opts) end

---The same with a body.
---@param url string  below an address that the configuration grants
---@param body string|table  a table is sent as JSON
---@param opts {timeout_ms?: integer, headers?: table<string,string>}?
---@return {status: integer, body: string, headers: table<string,string>}?, string?
function latenza.http.post(url, body, opts) end

---Adds to a counter that all workers share, and says what it is now. It begins again from 0 ttl_s after its first addition.
---@param key string
---@param by integer
---@param ttl_s integer  0: for ever
---@return integer
function latenza.shared.add(key, by, ttl_s) end

---What the counter is; 0: there is none.
---@param key string
---@return integer
function latenza.shared.get(key) end

---null is latenza.json.null; lists keep being lists; integers stay integers. Raises what is no JSON.
---@param text string
---@return any
function latenza.json.decode(text) end

---A table is a list if its keys are 1 to n.
---@param value any
---@return string
function latenza.json.encode(value) end

---Marks a table as a list, for an empty one.
---@param list table?
---@return table
function latenza.json.array(list) end

---Tests only (NAME_test.lua): one case. It fails by an error.
---@param name string
---@param run fun()
function latenza.test.case(name, run) end

---Fails if they differ; tables by what is in them.
---@param got any
---@param wanted any
function latenza.test.equal(got, wanted) end

---One visit of a guardrail: verdict, code, message, error, text, texts, tags, body, calls, log.
---@param name string
---@param shown table?  text or texts, phase, options, stream_every, body, headers, metadata, user, model, budgets, http, now, ...
---@return table
function latenza.test.guardrail(name, shown) end

---One visit of a router: verdict, order ("provider/model"), output_limit, tags, calls.
---@param name string
---@param shown table?  targets, and the same
---@return table
function latenza.test.router(name, shown) end

---At most 60 lines a minute; more are counted.
---@param text string  no prompts, no secrets
function latenza.log.info(text) end

---Likewise.
---@param text string
function latenza.log.warn(text) end
