// @openai/agents-realtime: `RealtimeSession` over its WebSocket transport.
// Commands come in as lines of JSON, observations go out as lines of JSON: see docs/prove.md.

import { readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { OpenAIRealtimeSIP, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';

const SILENCE_MS = 800;
const VAD = { type: 'server_vad', silenceDurationMs: 300, interruptResponse: true };
const HEARS = { turnDetection: VAD, transcription: { model: 'gpt-4o-mini-transcribe' } };

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
function spoken(part) {
  const voice = part === 'silence' ? [] : [readFileSync(process.env.PROVE_WAV).subarray(44)];
  const silence = part === 'voice' ? [] : [Buffer.alloc(48 * SILENCE_MS)];
  const pcm = Buffer.concat([...voice, ...silence]);
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
    properties: { city: { type: 'string' }, seconds: { type: 'number' } },
    required: ['city'],
    additionalProperties: false,
  },
  strict: false,
  execute: async ({ city, seconds }) => {
    tell('tool', { city });
    await new Promise((resolve) => setTimeout(resolve, (seconds ?? 0) * 1000));
    return `sunny in ${city}`;
  },
});

class Conversation {
  // Replies in the conversation carry no name of its user's: they come as they were asked for.
  asked = [];
  names = new Map();
  open_ = new Set();

  async open({ url, text, vad, tool }) {
    const config = { audio: { input: vad ? HEARS : { turnDetection: null } } };
    if (text) config.outputModalities = ['text'];
    this.where = { url };
    await this.begin('websocket', config, tool);
  }

  async open_call({ url, call_id: callId, vad, tool }) {
    // On a telephone the server refuses how long a silence is to be (P-346).
    const config = { audio: { input: { turnDetection: vad ? { type: 'server_vad' } : null } } };
    this.where = { callId, url: `${url}?call_id=${callId}` };
    await this.begin(new OpenAIRealtimeSIP(), config, tool);
  }

  async begin(transport, config, withTool) {
    const agent = new RealtimeAgent({
      name: 'tester',
      instructions: 'Be brief.',
      tools: withTool ? [getWeather] : [],
    });
    this.session = new RealtimeSession(agent, {
      transport,
      model: 'gpt-realtime',
      config,
      tracingDisabled: true,
    });
    this.session.on('audio', (event) => {
      const reader = this.name(event.responseId);
      const pcm = Buffer.from(event.data).toString('base64');
      tell('audio', { reader, pcm, response: event.responseId });
    });
    this.session.on('audio_interrupted', () => tell('audio interrupted'));
    this.session.on('agent_tool_end', (_context, _agent, _tool, output) => tell('tool end', { output }));
    this.session.on('history_updated', (history) => this.history(history));
    this.session.on('error', ({ error }) => tell('error', { what: JSON.stringify(error.error ?? String(error)) }));
    this.session.on('transport_event', (event) => this.event(event));
    this.session.transport.on('connection_change', (status) => {
      tell('connection', { status, state: status === 'disconnected' ? 'over' : status });
      if (status !== 'disconnected') return;
      for (const reader of this.open_) tell('ended', { reader, how: 'lost' });
      this.open_.clear();
    });
    await this.connect();
  }

  connect() {
    return this.session.connect({ apiKey: 'unused', ...this.where });
  }

  name(id) {
    return this.names.get(id) ?? id ?? '';
  }

  named({ id, metadata }) {
    if (!this.names.has(id)) {
      const reader = metadata?.reader ?? this.asked.shift();
      if (reader) this.names.set(id, reader);
    }
    return this.name(id);
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
    if (event.type === 'response.created') {
      this.named(event.response);
    } else if (event.type === 'response.done') {
      const { id, status, metadata } = event.response;
      tell('done', { response: id, status, metadata });
      const reader = this.named(event.response);
      tell('ended', { reader, how: status });
      this.open_.delete(reader);
    } else if (event.type === 'response.output_text.delta') {
      tell('text', { reader: this.name(event.response_id), text: event.delta });
    } else if (event.type === 'conversation.item.input_audio_transcription.completed') {
      tell('heard', { text: event.transcript });
    } else {
      tell('event', { type: event.type });
    }
  }

  ask({ reader, words }) {
    this.asked.push(reader);
    this.open_.add(reader);
    this.session.sendMessage(words);
  }

  aside({ reader, words }) {
    this.open_.add(reader);
    const response = { conversation: 'none', instructions: words, metadata: { reader } };
    this.session.transport.sendEvent({ type: 'response.create', response });
  }

  speak({ part }) {
    for (const piece of spoken(part)) this.session.sendAudio(piece);
  }

  interrupt() {
    this.session.interrupt();
  }

  close() {
    this.session.close();
  }
}

const COMMANDS = new Set(['open', 'open_call', 'connect', 'ask', 'aside', 'speak', 'interrupt', 'close']);
let conversation;
for await (const line of createInterface({ input: process.stdin })) {
  const { n, do: name, ...given } = JSON.parse(line);
  try {
    if (name === 'open' || name === 'open_call') conversation = new Conversation();
    if (COMMANDS.has(name)) {
      await conversation[name](given);
      tell('ok', { n });
    } else {
      tell('unsupported', { n, why: `it has no ${name}` });
    }
  } catch (error) {
    tell('failed', { n, trace: error?.stack ?? String(error) });
  }
}
