// Vercel's AI SDK over two of its providers. Reads {case, kind, baseURL, apiKey}, a line each; answers with a line of JSON.
// SPDX-License-Identifier: MIT
import { createInterface } from "node:readline";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

globalThis.AI_SDK_LOG_WARNINGS = false;
const prompt = "Hello there";

// The provider of OpenAI's own API is told to use chat completions; the other one speaks nothing else.
const kinds = {
  openai: (o) => { const p = createOpenAI(o); return { chat: p.chat("fake-1"), embed: p.textEmbeddingModel("fake-embed") }; },
  compatible: (o) => {
    const p = createOpenAICompatible({ name: "latenza", includeUsage: true, supportsStructuredOutputs: true, ...o });
    return { chat: p("fake-1"), embed: p.textEmbeddingModel("fake-embed") };
  },
};
const tools = { weather: tool({ description: "The weather.", inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `12 °C in ${city}` }) };
const told = (e) => ({ error: e.name, status: e.statusCode ?? e.lastError?.statusCode ?? null, tries: e.errors?.length ?? 1,
  message: e.message });

const cases = {
  async text({ chat }) {
    const r = await generateText({ model: chat, prompt, maxRetries: 0 });
    return { text: r.text, finish: r.finishReason, input: r.usage.inputTokens, output: r.usage.outputTokens };
  },
  async stream({ chat }) {
    const r = streamText({ model: chat, prompt, maxRetries: 0, onError() {} });
    let text = "", error = null;
    for await (const part of r.fullStream) {
      if (part.type === "text-delta") text += part.text;
      if (part.type === "error") error = part.error?.message ?? JSON.stringify(part.error);
    }
    if (error !== null) return { text, error };
    const usage = await r.usage;
    return { text, finish: await r.finishReason, input: usage.inputTokens, output: usage.outputTokens };
  },
  async tools({ chat }) {
    const r = await generateText({ model: chat, prompt, tools, stopWhen: stepCountIs(3), maxRetries: 0 });
    return { text: r.text, results: r.steps.flatMap((s) => s.toolResults.map((t) => [t.toolCallId, t.output])) };
  },
  async stream_tools({ chat }) {
    const r = streamText({ model: chat, prompt, tools, stopWhen: stepCountIs(3), maxRetries: 0 });
    return { text: await r.text, results: (await r.steps).flatMap((s) => s.toolResults.map((t) => [t.toolCallId, t.output])) };
  },
  async object({ chat }) {
    const r = await generateObject({ model: chat, prompt, schema: z.object({ city: z.string(), celsius: z.number() }), maxRetries: 0 });
    return r.object;
  },
  async error({ chat }) { return generateText({ model: chat, prompt, maxRetries: 0 }).catch(told); },
  async retries({ chat }) {
    return generateText({ model: chat, prompt, maxRetries: 1 }).then((r) => ({ text: r.text }), told);
  },
  async embeddings({ embed }) {
    const r = await embedMany({ model: embed, values: ["one", "two"], maxRetries: 0 });
    return { vectors: r.embeddings, tokens: r.usage.tokens };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { case: name, kind, baseURL, apiKey } = JSON.parse(line);
  const answer = await cases[name](kinds[kind]({ baseURL, apiKey })).catch((e) => ({ uncaught: e.stack }));
  console.log(JSON.stringify(answer));
}
