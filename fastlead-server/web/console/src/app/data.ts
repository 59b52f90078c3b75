// The one cache of what the server has said, and how events make parts of it old.
import { QueryCache, QueryClient } from '@tanstack/react-query';
import { useEffect } from 'react';
import { Refusal } from '@/api/client';
import { listen } from '@/api/live';
import type { LiveEvent } from '@/api/live';
import { reloadFor } from './reload';

/** Tries again only what may be better the next time; never what was refused. */
export function isWorthAnotherTry(failures: number, error: unknown): boolean {
  if (!(error instanceof Refusal)) return false;
  const passing = error.status === 0 || error.status >= 500 || error.status === 429;
  return passing && failures < 3;
}

/** How long to wait: as the server says, else longer each time, and not all pages at once. */
export function waitBeforeTry(failures: number, error: unknown, random = Math.random()): number {
  if (error instanceof Refusal && error.retryAfter !== undefined) return error.retryAfter * 1000;
  return Math.min(500 * 2 ** failures, 8_000) * (0.75 + random / 2);
}

let onSignedOut: () => void = () => undefined;

/** What happens when the server says that nobody is signed in any more. */
export function whenSignedOut(act: () => void): void {
  onSignedOut = act;
}

export const queries = new QueryClient({
  queryCache: new QueryCache({
    onError: (error, query) => {
      if (error instanceof Refusal && error.status === 401 && query.queryKey[0] !== 'me') onSignedOut();
    },
  }),
  defaultOptions: {
    queries: {
      retry: isWorthAnotherTry,
      retryDelay: waitBeforeTry,
      refetchOnWindowFocus: false,
      staleTime: 5_000,
    },
    mutations: { retry: false },
  },
});

/** The parts of the cache that an event makes old; `all` for everything. */
export function staleBy(event: LiveEvent): 'all' | string[][] {
  switch (event.type) {
    case 'hello':
    case 'lagged':
      return 'all';
    case 'lead':
      return [['leads'], ['counts'], ...(event.lead_id ? [['lead', event.lead_id]] : [])];
    case 'delivery':
      return event.lead_id ? [['lead', event.lead_id]] : [];
    case 'channel':
      return [['channels']];
    default:
      return [];
  }
}

/** Events come in crowds: what they make old is read anew once for all of them. */
const TOGETHER_MILLIS = 100;

/** Keeps everything on screen as it is on the server, as long as somebody is signed in. */
export function useLive(): void {
  useEffect(() => {
    const stop = new AbortController();
    const old = new Map<string, string[]>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let first = true;
    const refresh = () => {
      timer = undefined;
      for (const queryKey of old.values()) void queries.invalidateQueries({ queryKey });
      old.clear();
    };
    void listen((event) => {
      if (event.type === 'hello') {
        if (event.console) reloadFor(event.console);
        // What the page shows was read a moment ago.
        if (first) {
          first = false;
          return;
        }
      }
      const parts = staleBy(event);
      if (parts === 'all') {
        void queries.invalidateQueries();
        return;
      }
      for (const part of parts) old.set(part.join('/'), part);
      timer ??= setTimeout(refresh, TOGETHER_MILLIS);
    }, stop.signal);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, []);
}
