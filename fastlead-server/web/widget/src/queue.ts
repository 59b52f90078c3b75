// What was sent is written down first and sent until the server has answered, at most for a day.
import { keep, kept } from './storage';

export interface Waiting {
  id: string;
  at: number;
  body: string;
}

export interface Fault {
  field: string;
  code: string;
}

/** The answer of the server: nothing to mend, or what. */
export type Answer = { faults: Fault[]; code: string } | 'taken';

const WAITS_MILLIS = 86_400_000;
const KEPT_AT_MOST = 10;
const ANSWER_MILLIS = 20_000;
const SLOWEST_MILLIS = 300_000;
const EXPIRED: Answer = { code: '', faults: [] };

const isWaiting = (value: unknown): value is Waiting =>
  typeof value === 'object' && value !== null && typeof (value as Waiting).id === 'string' &&
  typeof (value as Waiting).at === 'number' && typeof (value as Waiting).body === 'string';

export interface Sent {
  id: string;
  /** Nothing where the server has not said yet. */
  answer: Answer | undefined;
  /** Whether it is written down, so that it goes on with another page. */
  written: boolean;
}

export interface Queue {
  send(body: string): Promise<Sent>;
  flush(): Promise<void>;
}

/** The queue of a source: `answered` hears of what was sent again and is answered at last. */
export function queue(address: string, key: string, keeps: boolean, answered: (id: string, answer: Answer) => void): Queue {
  const name = `wait:${key}`;
  // What this page has sent stays known here until it is answered, whatever becomes of the storage.
  const own = new Map<string, Waiting>();
  const under = new Set<string>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;

  // A clock that was set back makes an age below zero; a day of it is a day, too.
  const isFresh = (item: Waiting): boolean => Math.abs(Date.now() - item.at) < WAITS_MILLIS;
  const stored = (): Waiting[] => {
    const list = kept(name);
    return Array.isArray(list) ? list.filter(isWaiting).filter(isFresh) : [];
  };
  const store = (list: Waiting[]): boolean => keep(name, list.length ? list : undefined);
  const forget = (id: string): void => {
    own.delete(id);
    store(stored().filter((item) => item.id !== id));
  };

  /** One attempt: the answer, or for how many milliseconds at least to wait where there is none. */
  const post = async ({ id, body }: Waiting): Promise<Answer | number> => {
    under.add(id);
    try {
      // A plain text needs no request before it, and the parameter stands for a header that would.
      const response = await fetch(`${address}?submission=${id}`, {
        method: 'POST',
        body,
        credentials: 'omit',
        keepalive: true,
        signal: AbortSignal.timeout(ANSWER_MILLIS),
      });
      if (response.status >= 500 || [408, 429].includes(response.status)) {
        return Number(response.headers.get('retry-after')) * 1_000 || 0;
      }
      const answer: Answer = response.ok ? 'taken' : await faults(response);
      failures = 0;
      forget(id);
      return answer;
    } catch {
      return 0;
    } finally {
      under.delete(id);
    }
  };

  const later = (least: number): void => {
    clearTimeout(timer);
    failures += 1;
    const pause = Math.min(2_500 * 2 ** Math.min(failures, 10), SLOWEST_MILLIS);
    timer = setTimeout(flush, Math.max(least, pause));
  };

  const all = async (): Promise<void> => {
    const items = new Map([...stored(), ...own.values()].map((item) => [item.id, item]));
    for (const item of items.values()) {
      if (under.has(item.id)) continue;
      const answer = isFresh(item) ? await post(item) : EXPIRED;
      if (typeof answer === 'number') return later(answer);
      forget(item.id);
      answered(item.id, answer);
    }
  };

  /** Sends whatever waits, one after the other; in one tab at a time, where the browser can see to that. */
  const flush = async (): Promise<void> => {
    clearTimeout(timer);
    // Two tabs that send the same do no harm: the server counts it once.
    await (navigator.locks ? navigator.locks.request(`fastlead:${name}`, all) : all());
  };

  /** Writes a form down and sends it. */
  const send = async (body: string): Promise<Sent> => {
    const id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
    const item = { id, at: Date.now(), body };
    own.set(id, item);
    const list = stored();
    const written = keeps && list.length < KEPT_AT_MOST && store([...list, item]);
    const answer = await post(item);
    if (typeof answer !== 'number') return { id, answer, written };
    later(answer);
    return { id, answer: undefined, written };
  };

  return { send, flush };
}

async function faults(response: Response): Promise<Answer> {
  const problem = (await response.json().catch(() => ({}))) as { code?: string; errors?: Fault[] };
  return { code: problem.code ?? '', faults: problem.errors ?? [] };
}
