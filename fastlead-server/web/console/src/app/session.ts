// Who is signed in, and what the page shares: projects, sources, channels.
import { queryOptions } from '@tanstack/react-query';
import { ask, client } from '@/api/client';
import type { Schema } from '@/api/client';

export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: ({ signal }) => ask(client.GET('/v1/me', { signal })),
  staleTime: 60_000,
});

export const projectsQuery = queryOptions({
  queryKey: ['projects'],
  queryFn: ({ signal }) => ask(client.GET('/v1/projects', { signal })),
});

export const sourcesQuery = queryOptions({
  queryKey: ['sources'],
  queryFn: ({ signal }) => ask(client.GET('/v1/sources', { signal })),
});

export const channelsQuery = queryOptions({
  queryKey: ['channels'],
  queryFn: ({ signal }) => ask(client.GET('/v1/channels', { signal })),
});

export type Caller = Schema['Caller'];

export function isAdmin(me: Caller | undefined): boolean {
  return me?.role === 'admin';
}
