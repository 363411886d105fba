// The official OpenAI SDK for Node, unchanged. `node sdk.mjs CASE BASE_URL KEY` prints one line of JSON.
// SPDX-License-Identifier: MIT
import OpenAI from "openai";

const [, , name, baseURL, apiKey] = process.argv;
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "Hello there" }];
const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } }];

const cases = {
  async chat() {
    const answer = await client.chat.completions.create({ model: "fake-1", messages });
    return { text: answer.choices[0].message.content, tokens: answer.usage.total_tokens };
  },
  async stream() {
    let text = "", finish = null, events = 0;
    const stream = await client.chat.completions.create({ model: "fake-1", messages, stream: true });
    for await (const chunk of stream) {
      events++;
      text += chunk.choices[0]?.delta?.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
    }
    return { text, finish, events };
  },
  async tools() {
    const answer = await client.chat.completions.create({ model: "fake-1", messages, tools });
    return { call: answer.choices[0].message.tool_calls[0] };
  },
  async models() {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    return { ids };
  },
  async wrong_key() {
    const stranger = new OpenAI({ baseURL, apiKey: "lz_live_wrong", maxRetries: 0 });
    return stranger.models.list().then(() => ({}), (e) => ({ error: e.constructor.name, status: e.status, code: e.code }));
  },
  async unknown_model() {
    return client.chat.completions.create({ model: "no-such", messages })
      .then(() => ({}), (e) => ({ error: e.constructor.name, status: e.status, code: e.code }));
  },
  async cut() {
    const stream = await client.chat.completions.create({ model: "fake-1", messages, stream: true });
    let text = "";
    try {
      for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    } catch (e) {
      return { text, error: e.constructor.name };
    }
    return { text, error: null };
  },
};

console.log(JSON.stringify(await cases[name]()));
