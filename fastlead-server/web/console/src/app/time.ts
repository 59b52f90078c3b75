// Moments in the zone of a project, durations, and the clock of the server.
import { useSyncExternalStore } from 'react';
import type { Locale } from './look';

const FORMATS = new Map<string, Intl.DateTimeFormat>();

function format(
  locale: Locale,
  zone: string | undefined,
  options: Intl.DateTimeFormatOptions,
): Intl.DateTimeFormat {
  const key = JSON.stringify([locale, zone, options]);
  let found = FORMATS.get(key);
  if (!found) {
    const language = locale === 'ru' ? 'ru-RU' : 'en-GB';
    try {
      found = new Intl.DateTimeFormat(language, { ...options, ...(zone ? { timeZone: zone } : {}) });
    } catch {
      // A zone that this browser does not know.
      found = new Intl.DateTimeFormat(language, { ...options, timeZone: 'UTC' });
    }
    FORMATS.set(key, found);
  }
  return found;
}

const CLOCK: Intl.DateTimeFormatOptions = {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
};
const DAY: Intl.DateTimeFormatOptions = { day: '2-digit', month: '2-digit', year: 'numeric' };

/** 23:03:07 */
export function clock(moment: string, locale: Locale, zone?: string): string {
  return format(locale, zone, CLOCK).format(new Date(moment));
}

/** 28.11.2026 */
export function day(moment: string, locale: Locale, zone?: string): string {
  return format(locale, zone, DAY).format(new Date(moment));
}

/** The time alone for today, else the day as well. */
export function short(moment: string, now: number, locale: Locale, zone?: string): string {
  const on = day(moment, locale, zone);
  const time = clock(moment, locale, zone);
  return on === day(new Date(now).toISOString(), locale, zone) ? time : `${on} ${time.slice(0, 5)}`;
}

/** 0:42, 1:02:07 */
export function left(milliseconds: number): string {
  const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
  const two = (number: number) => String(number).padStart(2, '0');
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

let ahead = 0;

/** Learns from an answer how far the server's clock is from this one. The header has whole seconds. */
export function learn(date: string | null, now = Date.now()): void {
  const server = date === null ? Number.NaN : Date.parse(date);
  if (Number.isNaN(server)) return;
  const difference = server - now;
  ahead = Math.abs(difference) < 2000 ? 0 : difference;
}

/** What the server's clock says. */
export function serverNow(): number {
  return Date.now() + ahead;
}

let second = 0;
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    second = Math.floor(serverNow() / 1000);
    for (const each of listeners) each();
  }, 500);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The server's moment, told anew each second. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => second || (second = Math.floor(serverNow() / 1000))) * 1000;
}
