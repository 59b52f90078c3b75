import { queryOptions } from '@tanstack/react-query';
import { ask, client } from '@/api/client';

/** The kinds of channel that the server has, each with the schema of its configuration. */
export const kindsQuery = queryOptions({
  queryKey: ['channel-kinds'],
  queryFn: ({ signal }) => ask(client.GET('/v1/channel-kinds', { signal })),
  staleTime: Infinity,
});
