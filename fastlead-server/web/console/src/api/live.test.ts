import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EventReader, SILENCE_MILLIS, listen, useLine } from './live';
import type { LiveEvent } from './live';

describe('the stream', () => {
  it('is read in whatever pieces it comes', () => {
    const reader = new EventReader();
    const text =
      ': alive\n\nevent: lead\ndata: {"type":"lead",\ndata: "lead_id":"lead_1"}\n\ndata: nonsense\n\ndata: {"type":"new-kind"}\r\n\r\n';
    const events = Array.from(text, (letter) => reader.read(letter)).flat();
    expect(events).toEqual([{ type: 'lead', lead_id: 'lead_1' }, { type: 'new-kind' }]);
  });
});

describe('a listener', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    useLine.setState({ line: { state: 'connecting' } });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('takes silence for a break, and hears the server again', async () => {
    const heard: LiveEvent[] = [];
    const stop = new AbortController();
    const opened: AbortSignal[] = [];
    vi.stubGlobal('fetch', (_: string, { signal }: { signal: AbortSignal }) => {
      opened.push(signal);
      const body = new ReadableStream<Uint8Array>({
        start(stream) {
          stream.enqueue(new TextEncoder().encode('data: {"type":"hello"}\n\n'));
          signal.addEventListener('abort', () => {
            stream.error(new DOMException('over', 'AbortError'));
          });
        },
      });
      return Promise.resolve(new Response(body));
    });
    const done = listen((event) => heard.push(event), stop.signal);
    await vi.advanceTimersByTimeAsync(10);
    expect(useLine.getState().line.state).toBe('live');
    await vi.advanceTimersByTimeAsync(SILENCE_MILLIS - 20);
    expect(opened).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(30);
    expect(useLine.getState().line.state).toBe('broken');
    await vi.advanceTimersByTimeAsync(300);
    expect(opened).toHaveLength(2);
    expect(useLine.getState().line.state).toBe('live');
    expect(heard.map((event) => event.type)).toEqual(['hello', 'hello']);
    stop.abort();
    await vi.advanceTimersByTimeAsync(20_000);
    await done;
  });

  it('ends where nobody is signed in', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response(null, { status: 401 })));
    await listen(() => undefined, new AbortController().signal);
    expect(useLine.getState().line.state).toBe('connecting');
  });
});
