// A reply by openai's npm package, which insists on TLS; docs/emulator.md says how to run it.

import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';

const words = process.argv.slice(2).join(' ') || 'Say hello.';
const realtime = new OpenAIRealtimeWS({ model: 'gpt-realtime-2.1' }, new OpenAI());

realtime.on('session.created', () => {
  const content = [{ type: 'input_text', text: words }];
  const item = { type: 'message', role: 'user', content };
  realtime.send({ type: 'conversation.item.create', item });
  realtime.send({ type: 'response.create', response: { output_modalities: ['text'] } });
});
realtime.on('response.output_text.delta', (event) => process.stdout.write(event.delta));
realtime.on('response.done', (event) => {
  console.log(`\n(${event.response.status})`);
  realtime.close();
});
realtime.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
