// openai's npm package: `OpenAIRealtimeWS`, which insists on wss. Its user writes the listeners.
// Commands come in as lines of JSON, observations go out as lines of JSON: see docs/prove.md.

import { readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';

const SILENCE_MS = 800;
const WEATHER_TOOL = {
  type: 'function',
  name: 'get_weather',
  description: 'The weather in a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
};
const HEARS = {
  transcription: { model: 'gpt-4o-mini-transcribe' },
  turn_detection: { type: 'server_vad', silence_duration_ms: 300 },
};

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
function spoken() {
  const voice = readFileSync(process.env.PROVE_WAV).subarray(44);
  const pcm = Buffer.concat([voice, Buffer.alloc(48 * SILENCE_MS)]);
  const pieces = [];
  for (let at = 0; at + 4800 <= pcm.length; at += 4800) pieces.push(pcm.subarray(at, at + 4800));
  return pieces;
}

class Conversation {
  names = new Map();
  items = new Map();
  sessions = 0;

  async open({ http_url: baseURL, text, vad, tool }) {
    this.settings = { type: 'realtime', audio: { input: vad ? HEARS : { turn_detection: null } } };
    if (text) this.settings.output_modalities = ['text'];
    if (tool) this.settings.tools = [WEATHER_TOOL];
    const client = new OpenAI({ apiKey: 'unused', baseURL });
    // Its own way back, which has to be asked for.
    this.socket = new OpenAIRealtimeWS({ model: 'gpt-realtime', reconnect: true }, client);
    this.socket.on('error', (error) => this.failed(error));
    this.socket.on('reconnecting', ({ closeCode }) => {
      tell('reconnecting', { code: closeCode });
      tell('connection', { state: 'lost' });
    });
    this.socket.on('close', () => tell('connection', { state: 'over' }));
    this.socket.on('event', (event) => this.event(event));
    await new Promise((resolve, reject) => {
      this.socket.once('session.created', resolve);
      this.socket.once('error', reject);
    });
  }

  failed(error) {
    tell('error', { what: error.message, code: error.error?.code ?? null });
    tell('refused', { answers: error.error?.event_id ?? null });
  }

  event(event) {
    const reader = this.names.get(event.response_id) ?? event.response_id ?? '';
    switch (event.type) {
      case 'session.created':
        // A new socket is a new session: what the old one was told is gone.
        this.sessions += 1;
        this.socket.send({ type: 'session.update', session: this.settings });
        if (this.sessions > 1) tell('connection', { state: 'back' });
        break;
      case 'response.created':
        this.names.set(event.response.id, event.response.metadata?.reader ?? event.response.id);
        break;
      case 'response.output_item.added':
        this.items.set(reader, event.item.id);
        break;
      case 'response.output_text.delta':
        tell('text', { reader, text: event.delta });
        break;
      case 'response.output_audio_transcript.delta':
        tell('transcript', { reader, text: event.delta });
        break;
      case 'response.output_audio.delta':
        tell('audio', { reader, pcm: event.delta, response: event.response_id });
        break;
      case 'conversation.item.input_audio_transcription.completed':
        tell('heard', { text: event.transcript });
        break;
      case 'conversation.item.truncated':
        tell('truncated', { ms: event.audio_end_ms });
        break;
      case 'response.done':
        this.done(event.response);
        break;
      default:
        tell('event', { type: event.type });
    }
  }

  done({ id, status, status_details: details, metadata, output }) {
    const reader = this.names.get(id);
    tell('done', { response: id, status, reason: details?.reason ?? null, metadata });
    tell('ended', { reader, how: status });
    const calls = output.filter((item) => item.type === 'function_call' && item.status === 'completed');
    for (const { call_id, name, arguments: given } of calls) {
      tell('called', { reader, name, arguments: given });
      const item = { type: 'function_call_output', call_id, output: 'sunny' };
      this.socket.send({ type: 'conversation.item.create', item });
    }
    if (calls.length) this.create(`${reader}, with the tool`);
  }

  create(reader, how = {}) {
    const response = { metadata: { reader }, ...how };
    this.socket.send({ type: 'response.create', response });
  }

  ask({ reader, words }) {
    const content = [{ type: 'input_text', text: words }];
    const item = { type: 'message', role: 'user', content };
    this.socket.send({ type: 'conversation.item.create', item });
    this.create(reader);
  }

  aside({ reader, words }) {
    this.create(reader, { conversation: 'none', instructions: words });
  }

  speak() {
    for (const piece of spoken()) {
      this.socket.send({ type: 'input_audio_buffer.append', audio: piece.toString('base64') });
    }
  }

  cancel({ reader }) {
    const [response_id] = [...this.names].find(([, name]) => name === reader);
    this.socket.send({ type: 'response.cancel', response_id });
  }

  bare_cancel() {
    this.socket.send({ type: 'response.cancel', event_id: 'bare' });
  }

  cut_item({ reader, at_ms: audio_end_ms }) {
    const item_id = this.items.get(reader);
    this.socket.send({ type: 'conversation.item.truncate', item_id, content_index: 0, audio_end_ms });
  }

  close() {
    this.socket.close();
  }
}

const COMMANDS = new Set(
  ['open', 'ask', 'aside', 'speak', 'cancel', 'bare_cancel', 'cut_item', 'close']
);
let conversation;
for await (const line of createInterface({ input: process.stdin })) {
  const { n, do: name, ...given } = JSON.parse(line);
  try {
    if (name === 'open') conversation = new Conversation();
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
