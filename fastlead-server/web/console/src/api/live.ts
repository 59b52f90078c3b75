// The server's events. They only say what has changed; what it is now is read by itself, so that rights are applied in one place.
//
// `EventSource` hides the comments by which a quiet server shows that it lives, so the stream is read here.
import { create } from 'zustand';

/** What the server says. Kinds that are not known here are passed on by their name. */
export interface LiveEvent {
  type: string;
  lead_id?: string | null;
  channel_id?: string;
  kind?: string;
  console?: string;
}

/** Silence for longer than this is a break: the server speaks every 15 s. */
export const SILENCE_MILLIS = 40_000;
const WAITS_MILLIS = [250, 500, 1_000, 2_000, 5_000, 10_000];

export type Line = { state: 'connecting' } | { state: 'live' } | { state: 'broken'; since: number };

/** Whether the page hears the server. */
export const useLine = create<{ line: Line }>(() => ({ line: { state: 'connecting' } }));

/** Splits a stream of text into events; keeps what is not complete yet. */
export class EventReader {
  private rest = '';

  read(text: string): LiveEvent[] {
    const blocks = (this.rest + text).replaceAll('\r\n', '\n').split('\n\n');
    this.rest = blocks.pop() ?? '';
    return blocks.map(data).filter((event) => event !== undefined);
  }
}

function data(block: string): LiveEvent | undefined {
  const lines = block.split('\n').filter((line) => line.startsWith('data:'));
  if (lines.length === 0) return undefined;
  try {
    const value: unknown = JSON.parse(lines.map((line) => line.slice(5).trimStart()).join('\n'));
    const isEvent =
      typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
    return isEvent ? (value as LiveEvent) : undefined;
  } catch {
    return undefined;
  }
}

function broken(): void {
  const { line } = useLine.getState();
  if (line.state !== 'broken') useLine.setState({ line: { state: 'broken', since: Date.now() } });
}

/** Waits, but not longer than until the browser is online or the page is looked at again. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener('online', done);
      document.removeEventListener('visibilitychange', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    addEventListener('online', done);
    document.addEventListener('visibilitychange', done);
    signal.addEventListener('abort', done);
  });
}

async function stream(hear: (event: LiveEvent) => void, stop: AbortSignal): Promise<number> {
  const silence = new AbortController();
  const over = () => {
    silence.abort();
  };
  stop.addEventListener('abort', over);
  let alarm = setTimeout(over, SILENCE_MILLIS);
  try {
    const response = await fetch('/v1/events', { credentials: 'same-origin', signal: silence.signal });
    if (!response.ok || !response.body) return response.status;
    const events = new EventReader();
    const chunks = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await chunks.read();
      if (done) return 200;
      clearTimeout(alarm);
      alarm = setTimeout(over, SILENCE_MILLIS);
      for (const event of events.read(value)) {
        if (event.type === 'hello') useLine.setState({ line: { state: 'live' } });
        hear(event);
      }
    }
  } finally {
    clearTimeout(alarm);
    stop.removeEventListener('abort', over);
  }
}

/** Listens until it is told to stop, over every break. `hear` gets a `hello` after each. */
export async function listen(hear: (event: LiveEvent) => void, stop: AbortSignal): Promise<void> {
  let turn = 0;
  const counted = (event: LiveEvent) => {
    if (event.type === 'hello') turn = 0;
    hear(event);
  };
  const isOver = () => stop.aborted;
  while (!isOver()) {
    let status = 0;
    try {
      status = await stream(counted, stop);
    } catch {
      status = 0;
    }
    if (isOver() || status === 401) return;
    // The server ends each stream after a while: that is no break unless it cannot be opened again.
    if (status !== 200 || turn > 0) broken();
    await pause(WAITS_MILLIS[Math.min(turn, WAITS_MILLIS.length - 1)] ?? 10_000, stop);
    turn += 1;
  }
}
