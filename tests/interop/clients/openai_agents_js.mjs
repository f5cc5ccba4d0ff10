// @openai/agents-realtime: `RealtimeSession` over its WebSocket transport.
// Commands come in as lines of JSON, observations go out as lines of JSON; see stage.py.

import { readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';

const SCENARIO_LIMIT_MS = 25_000;
const SILENCE_MS = 800;
const VAD = { type: 'server_vad', silenceDurationMs: 300, interruptResponse: true };
const HEARS = { audio: { input: { turnDetection: VAD, transcription: { model: 'gpt-4o-mini-transcribe' } } } };
const MANUAL = { audio: { input: { turnDetection: null } } };
const TEXT = { outputModalities: ['text'] };

function tell(saw, facts = {}) {
  const line = Buffer.from(JSON.stringify({ saw, ...facts }) + '\n');
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(1, line, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

// The recording: 24 kHz PCM16 after a header of 44 bytes, with silence after it, in pieces.
function spoken(wav) {
  const pcm = Buffer.concat([readFileSync(wav).subarray(44), Buffer.alloc(48 * SILENCE_MS)]);
  const pieces = [];
  for (let at = 0; at + 4800 <= pcm.length; at += 4800) {
    pieces.push(new Uint8Array(pcm.subarray(at, at + 4800)).buffer);
  }
  return pieces;
}

const getWeather = tool({
  name: 'get_weather',
  description: 'The weather in a city.',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
  strict: false,
  execute: async ({ city }) => `sunny in ${city}`,
});

class Conversation {
  constructor(command, config, tools = []) {
    this.command = command;
    this.counts = new Map();
    this.waiting = [];
    const agent = new RealtimeAgent({ name: 'tester', instructions: 'Be brief.', tools });
    this.session = new RealtimeSession(agent, {
      transport: 'websocket',
      model: 'gpt-realtime',
      config,
      tracingDisabled: true,
    });
    this.session.on('audio', (event) => {
      tell('audio', { pcm: Buffer.from(event.data).toString('base64'), response: event.responseId });
    });
    this.session.on('audio_interrupted', () => tell('audio interrupted'));
    this.session.on('agent_tool_end', (_context, _agent, _tool, output) => tell('tool', { output }));
    this.session.on('history_updated', (history) => this.history(history));
    this.session.on('error', ({ error }) => tell('error', { what: JSON.stringify(error.error ?? String(error)) }));
    this.session.on('transport_event', (event) => this.event(event));
    this.session.transport.on('connection_change', (status) => {
      tell('connection', { status });
      this.count(`connection ${status}`);
    });
  }

  connect() {
    return this.session.connect({ apiKey: 'unused', url: this.command.url });
  }

  history(history) {
    const items = history.map((item) =>
      item.type === 'message'
        ? { role: item.role, words: item.content.map((part) => part.text ?? part.transcript) }
        : { call: item.name, output: item.output }
    );
    tell('history', { items });
  }

  event(event) {
    if (event.type === 'response.done') {
      const { id, status, metadata } = event.response;
      tell('done', { response: id, status, metadata });
    } else if (event.type === 'response.output_text.delta') {
      tell('text', { text: event.delta });
    } else if (event.type === 'conversation.item.input_audio_transcription.completed') {
      tell('heard', { text: event.transcript });
    } else {
      tell('event', { type: event.type });
    }
    this.count(event.type);
  }

  count(kind) {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    this.waiting = this.waiting.filter((one) => {
      const enough = (this.counts.get(one.kind) ?? 0) >= one.times;
      if (enough) one.resolve();
      return !enough;
    });
  }

  until(kind, times = 1) {
    if ((this.counts.get(kind) ?? 0) >= times) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push({ kind, times, resolve }));
  }

  speak() {
    for (const piece of spoken(this.command.wav)) this.session.sendAudio(piece);
  }
}

async function holding(command, config, play, tools) {
  const conversation = new Conversation(command, config, tools);
  await conversation.connect();
  try {
    await play(conversation, conversation.session);
  } finally {
    conversation.session.close();
  }
}

const aside = { conversation: 'none', metadata: { purpose: 'aside' } };

const scenarios = {
  text_turn: (command) =>
    holding(command, TEXT, async (it, session) => {
      session.sendMessage('Hello there.');
      await it.until('response.done');
    }),

  audio_turn: (command) =>
    holding(command, HEARS, async (it) => {
      it.speak();
      await it.until('response.done');
      await it.until('conversation.item.input_audio_transcription.completed');
    }),

  tool_round: (command) =>
    holding(
      command,
      TEXT,
      async (it, session) => {
        session.sendMessage('What is the weather in Oslo?');
        await it.until('response.done', 2);
      },
      [getWeather]
    ),

  interruption: (command) =>
    holding(command, MANUAL, async (it, session) => {
      session.sendMessage('Tell me a long story.');
      await it.until('response.output_audio.delta', 5);
      session.interrupt();
      await it.until('response.done');
      session.sendMessage('What else?');
      await it.until('response.done', 2);
    }),

  interrupt_and_ask: (command) =>
    holding(command, MANUAL, async (it, session) => {
      session.sendMessage('Tell me a long story.');
      await it.until('response.output_audio.delta', 5);
      session.interrupt();
      session.sendMessage('What else?');
      await it.until('response.done', 2);
    }),

  barge_in: (command) =>
    holding(command, HEARS, async (it, session) => {
      session.sendMessage('Tell me a long story.');
      await it.until('response.output_audio.delta', 5);
      it.speak();
      await it.until('response.done', 2);
    }),

  two_in_flight: (command) =>
    holding(command, MANUAL, async (it, session) => {
      session.sendMessage('Tell me something.');
      await it.until('response.created');
      session.transport.sendEvent({ type: 'response.create', response: aside });
      await it.until('response.done', 2);
    }),

  bare_cancel: (command) =>
    holding(command, MANUAL, async (it, session) => {
      session.transport.sendEvent({ type: 'response.create', response: aside });
      await it.until('response.output_audio.delta', 3);
      session.interrupt();
      await it.until('response.done');
    }),

  reconnect: (command) =>
    holding(command, TEXT, async (it, session) => {
      session.sendMessage('Hello there.');
      await it.until('response.done');
      tell('cut me');
      await it.until('connection disconnected');
      // It does not come back by itself: its user connects again.
      await it.connect();
      session.sendMessage('Are you back?');
      await it.until('response.done', 2);
    }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('the scenario took too long')), SCENARIO_LIMIT_MS);
  });
  try {
    await Promise.race([scenarios[command.scenario](command), limit]);
    tell('end');
  } catch (error) {
    tell('failed', { trace: error?.stack ?? String(error) });
  } finally {
    clearTimeout(timer);
  }
}
