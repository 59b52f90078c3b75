// Where a visitor came from: the first and the last visit that an advertisement has marked.
import { keep, kept } from './storage';

/** The names that are looked at, as the server knows them (docs/form.md). Nothing else of an address is kept. */
const UTM = ['utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term'];
const CLICKS = [
  'yclid', 'ymclid', 'ysclid', '_ym_uid', 'ym_uid', 'ym_client_id', 'gclid', 'gbraid', 'wbraid', 'dclid',
  'ga_client_id', 'fbclid', 'msclkid', 'ttclid', 'rb_clickid', 'vk_click_id', 'vkclid', 'roistat', 'roistat_visit',
  'calltouch_session_id', 'calltouch_client_id', 'ct_session_id', '_ct_session_id', '_ct_client_global_id', '_openstat',
];
const VALUE_CHARS = 300;
const ADDRESS_CHARS = 2_048;
const KEPT_MILLIS = 30 * 86_400_000;

export interface Touch {
  at?: string;
  click_ids?: Record<string, string>;
  page?: string;
  referrer?: string;
  [utm: string]: unknown;
}

/** What the parameters of an address say; nothing where they say nothing of advertising. */
export function marks(search: string, now: number): Touch | undefined {
  const touch: Touch = {};
  const clicks: Record<string, string> = {};
  for (const [written, value] of new URLSearchParams(search)) {
    const name = written.trim().toLowerCase();
    const place = UTM.includes(name) ? touch : CLICKS.includes(name) ? clicks : undefined;
    if (place && value.trim() && !(name in place)) place[name] = value.slice(0, VALUE_CHARS);
  }
  if (Object.keys(clicks).length) touch.click_ids = clicks;
  return Object.keys(touch).length ? { ...touch, at: new Date(now).toISOString() } : undefined;
}

const remembered: Record<string, Touch | undefined> = {};

function recall(name: string, now: number): Touch | undefined {
  const touch = (kept(name) ?? remembered[name]) as Touch | undefined;
  const age = now - Date.parse(String(touch?.at));
  // A clock that was set back makes a visit of the future: it is one of today.
  return age < KEPT_MILLIS ? touch : undefined;
}

/** Notes this visit, where it is marked: the first one stays, a later one becomes the last. */
export function note(search: string, now: number): void {
  const touch = marks(search, now);
  if (!touch) return;
  for (const name of recall('first', now) ? ['last'] : ['first', 'last']) {
    remembered[name] = touch;
    keep(name, touch);
  }
}

/** The last marked visit with the page of today, and the first one. */
export function attribution(now: number): { first?: Touch; last: Touch } {
  const last: Touch = { ...recall('last', now), page: location.href.slice(0, ADDRESS_CHARS) };
  if (document.referrer && !document.referrer.startsWith(`${location.origin}/`)) {
    last.referrer = document.referrer.slice(0, ADDRESS_CHARS);
  }
  const first = recall('first', now);
  return first ? { first, last } : { last };
}
