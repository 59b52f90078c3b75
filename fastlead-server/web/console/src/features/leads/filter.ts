// Which leads: the filter stands in the address, so that back, reload and a shared link give the same view.
export const STATUSES = [
  'new',
  'review',
  'unconfirmed',
  'auction',
  'open',
  'queued',
  'accepted',
  'rejected',
  'unanswered',
  'returned',
  'closed',
] as const;

export type Status = (typeof STATUSES)[number];

export interface LeadFilter {
  q?: string;
  status?: Status;
  project?: string;
  source?: string;
  from?: string;
  to?: string;
  sort?: 'oldest';
}

function text(value: unknown): string | undefined {
  // The address may say `q=79000000000`, which is read as a number.
  const read = typeof value === 'number' ? String(value) : value;
  return typeof read === 'string' && read.trim() !== '' ? read : undefined;
}

function date(value: unknown): string | undefined {
  const read = text(value);
  return read !== undefined && /^\d{4}-\d{2}-\d{2}$/.test(read) && !Number.isNaN(Date.parse(read))
    ? read
    : undefined;
}

/** Reads a filter from an address; what makes no sense is left out. */
export function readFilter(search: Record<string, unknown>): LeadFilter {
  const filter: LeadFilter = {};
  const q = text(search.q);
  if (q !== undefined) filter.q = q.slice(0, 100);
  const status = STATUSES.find((known) => known === search.status);
  if (status) filter.status = status;
  for (const name of ['project', 'source'] as const) {
    const value = text(search[name]);
    if (value !== undefined) filter[name] = value;
  }
  for (const name of ['from', 'to'] as const) {
    const value = date(search[name]);
    if (value !== undefined) filter[name] = value;
  }
  if (search.sort === 'oldest') filter.sort = 'oldest';
  return filter;
}

/** A filter that says nothing of the order. */
export function withoutOrder(filter: LeadFilter): LeadFilter {
  return Object.fromEntries(Object.entries(filter).filter(([name]) => name !== 'sort'));
}

/** How many conditions a filter has, its order left out. */
export function conditions(filter: LeadFilter): number {
  return Object.keys(filter).filter((name) => name !== 'sort').length;
}

/** Whether what was typed is the number of a lead. */
export function isLeadId(typed: string): boolean {
  return /^lead_[0-9a-f]{32}$/.test(typed.trim());
}

/** How far a zone is ahead of UTC at a moment, in milliseconds. */
function offset(zone: string | undefined, at: number): number {
  let parts: Intl.DateTimeFormatPart[];
  const options: Intl.DateTimeFormatOptions = {
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
  };
  try {
    parts = new Intl.DateTimeFormat('en', { ...options, timeZone: zone ?? 'UTC' }).formatToParts(at);
  } catch {
    return 0;
  }
  const part = (type: string) => Number(parts.find((one) => one.type === type)?.value ?? 0);
  const wall = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  );
  return wall - Math.floor(at / 1000) * 1000;
}

/** The moment at which a day begins in a zone, `days` after it. */
export function beginning(day: string, zone: string | undefined, days = 0): string {
  const midnight = Date.parse(`${day}T00:00:00Z`) + days * 86_400_000;
  // The offset at midnight by the first guess; twice, for clocks that change on that day.
  const guess = midnight - offset(zone, midnight);
  return new Date(midnight - offset(zone, guess)).toISOString();
}

/** What the server is asked for. A day is a day of `zone`. */
export function query(filter: LeadFilter, zone: string | undefined) {
  return {
    ...(filter.q ? { q: filter.q } : {}),
    ...(filter.status ? { status: filter.status } : {}),
    ...(filter.project ? { project_id: filter.project } : {}),
    ...(filter.source ? { source_id: filter.source } : {}),
    ...(filter.from ? { from: beginning(filter.from, zone) } : {}),
    ...(filter.to ? { to: beginning(filter.to, zone, 1) } : {}),
    ...(filter.sort === 'oldest' ? { sort: 'created_at' as const } : {}),
  };
}
