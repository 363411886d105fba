// The points of the official SDK's behaviour, one case each. Reads {case, baseURL, apiKey, model, n}, a line each, and
// answers each with a line of JSON.
// SPDX-License-Identifier: MIT
import { createInterface } from "node:readline";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

let baseURL, apiKey, model, n, client;
const messages = [{ role: "user", content: "Hello there" }];
const make = (more = {}) => new OpenAI({ baseURL, apiKey, maxRetries: 0, ...more });
const chat = (more = {}, who, options) => (who ?? client).chat.completions.create({ model, messages, ...more }, options);
const told = (e) => ({ error: e.constructor.name, status: e.status ?? null, code: e.code ?? null, type: e.type ?? null,
  param: e.param ?? null, id: e.requestID ?? null, message: e.message, text: e.text });
const failure = (promise) => promise.then((r) => ({ answered: r }), told);
const Weather = z.object({ city: z.string(), celsius: z.number() });
const weather = { type: "function", function: { name: "weather", description: "The weather.", parse: JSON.parse,
  parameters: { type: "object", properties: { city: { type: "string" } } }, function: ({ city }) => `12 °C in ${city}` } };

const cases = {
  async environment() {
    process.env.OPENAI_BASE_URL = baseURL;
    process.env.OPENAI_API_KEY = apiKey;
    return { text: (await chat({}, new OpenAI())).choices[0].message.content };
  },
  async request_id() {
    const stream = await chat({ stream: true }).withResponse();
    for await (const chunk of stream.data) void chunk;
    const whole = await chat();
    const list = await client.models.list().withResponse();
    return { whole: whole._request_id, stream: stream.request_id, list: list.request_id,
      error: (await failure(chat({ messages: [] }))).id };
  },
  async error() { return failure(chat()); },
  async bad_field() { return failure(chat({ messages: "no" })); },
  async wrong_key() { return failure(chat({}, make({ apiKey: "lz_live_wrong" }))); },
  async retries() { return failure(chat({}, make({ maxRetries: 2 }))); },
  async stream() {
    let text = "", finish = [], usage = null;
    try {
      for await (const chunk of await chat({ stream: true, stream_options: { include_usage: true } })) {
        text += chunk.choices[0]?.delta?.content ?? "";
        for (const c of chunk.choices) if (c.finish_reason) finish.push(c.finish_reason);
        usage = chunk.usage ?? usage;
      }
    } catch (e) { return { ...told(e), text }; }
    return { text, finish, usage };
  },
  async helper() {
    const stream = client.chat.completions.stream({ model, messages, n,
      stream_options: { include_usage: true } });
    try {
      const answer = await stream.finalChatCompletion();
      return { choices: answer.choices.map((c) => ({ index: c.index, text: c.message.content, finish: c.finish_reason,
        calls: c.message.tool_calls?.map((t) => [t.id, t.function.name, t.function.arguments]) })), usage: answer.usage };
    } catch (e) { return told(e); }
  },
  async parse() {
    try {
      const answer = await client.chat.completions.parse({ model, messages, response_format: zodResponseFormat(Weather, "weather") });
      return { parsed: answer.choices[0].message.parsed };
    } catch (e) { return told(e); }
  },
  async run_tools() {
    const runner = client.chat.completions.runTools({ model, messages, tools: [weather] });
    return { text: await runner.finalContent() };
  },
  async timeout() { return failure(chat({}, make({ timeout: 300 }))); },
  async abort() {
    const control = new AbortController();
    setTimeout(() => control.abort(), 300);
    return failure(chat({}, null, { signal: control.signal }));
  },
  async abort_stream() {
    const stream = await chat({ stream: true });
    let seen = 0;
    for await (const chunk of stream) if (chunk.choices[0]?.delta?.content && ++seen == 2) break;
    return { n: seen };
  },
  async embeddings() {
    const one = await client.embeddings.create({ model: "fake-embed", input: ["one", "two"], dimensions: 4 });
    const two = await client.embeddings.create({ model: "fake-embed", input: ["one", "two"], dimensions: 4, encoding_format: "float" });
    const three = await client.embeddings.create({ model: "fake-embed", input: [[5, 6], [7]], dimensions: 4 });
    return { default: one.data.map((d) => Array.from(d.embedding)), float: two.data.map((d) => d.embedding),
      tokens: three.data.map((d) => Array.from(d.embedding)), usage: one.usage };
  },
  async models() {
    const listed = [];
    for await (const m of client.models.list()) listed.push(m);
    return { listed, one: await client.models.retrieve("latenza/balanced") };
  },
  async responses() { return failure(client.responses.create({ model, input: "x" })); },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  ({ baseURL, apiKey, model, n } = asked);
  client = make();
  const answer = await cases[asked.case]().catch((e) => ({ uncaught: e.stack }));
  console.log(JSON.stringify(answer ?? null));
}
