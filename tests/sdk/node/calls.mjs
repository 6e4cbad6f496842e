// Makes the calls that it reads from standard input with the providers' own Node SDKs, and tells what came back.
//
// In:  {"openai": URL, "anthropic": URL, "calls": [{"name", "headers", "model", "retries"?}, ...]}
// Out: one JSON array, an answer or {"error": class name, "status", "message"} for each call, in order.

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const messages = [{ role: "user", content: "What is the capital of France?" }];

async function textOf(stream, pick) {
  let text = "";
  for await (const event of stream) text += pick(event) ?? "";
  return text;
}

const calls = {
  async chat({ openai, model, headers }) {
    const reply = await openai.chat.completions.create({ model, messages }, { headers });
    return { text: reply.choices[0].message.content, output: reply.usage.completion_tokens };
  },
  async chatStream({ openai, model, headers }) {
    const stream = await openai.chat.completions.create({ model, messages, stream: true }, { headers });
    return { text: await textOf(stream, (chunk) => chunk.choices[0].delta.content) };
  },
  async chatStreamUsage({ openai, model, headers }) {
    const body = { model, messages, stream: true, stream_options: { include_usage: true } };
    let output;
    for await (const chunk of await openai.chat.completions.create(body, { headers })) output = chunk.usage?.completion_tokens;
    return { output };
  },
  async chatCancelled({ openai, model, headers }) {
    const stream = await openai.chat.completions.create({ model, messages, stream: true }, { headers });
    for await (const chunk of stream) {
      stream.controller.abort();
      return { first: chunk.object };
    }
  },
  async responses({ openai, model, headers }) {
    const reply = await openai.responses.create({ model, input: "Search!" }, { headers });
    return { text: reply.output_text, output: reply.usage.output_tokens };
  },
  async responsesStream({ openai, model, headers }) {
    let last;
    for await (const event of await openai.responses.create({ model, input: "Search!", stream: true }, { headers })) last = event;
    return { last: last.type, output: last.response.usage.output_tokens };
  },
  async embeddings({ openai, model, headers }) {
    const reply = await openai.embeddings.create({ model, input: "Hello" }, { headers });
    return { length: reply.data[0].embedding.length };
  },
  async messages({ anthropic, model, headers }) {
    const reply = await anthropic.messages.create({ model, max_tokens: 1024, messages }, { headers });
    return { kinds: reply.content.map((block) => block.type), output: reply.usage.output_tokens };
  },
  async messagesStream({ anthropic, model, headers }) {
    const stream = anthropic.messages.stream({ model, max_tokens: 1024, messages }, { headers });
    const reply = await stream.finalMessage();
    return { kinds: reply.content.map((block) => block.type), output: reply.usage.output_tokens };
  },
  async messagesCancelled({ anthropic, model, headers }) {
    const stream = await anthropic.messages.create({ model, max_tokens: 1024, messages, stream: true }, { headers });
    for await (const event of stream) {
      stream.controller.abort();
      return { first: event.type };
    }
  },
  async countTokens({ anthropic, model, headers }) {
    return { counted: (await anthropic.messages.countTokens({ model, messages }, { headers })).input_tokens > 0 };
  },
};

let told = "";
for await (const piece of process.stdin) told += piece;
const job = JSON.parse(told);

const answers = [];
for (const call of job.calls) {
  const maxRetries = call.retries ?? 0;
  const openai = new OpenAI({ baseURL: job.openai, apiKey: "sk-scripted", maxRetries });
  const anthropic = new Anthropic({ baseURL: job.anthropic, apiKey: "sk-ant-scripted", maxRetries });
  try {
    answers.push(await calls[call.name]({ openai, anthropic, ...call }));
  } catch (error) {
    answers.push({ error: error.constructor.name, status: error.status, message: error.message });
  }
}
process.stdout.write(JSON.stringify(answers));
