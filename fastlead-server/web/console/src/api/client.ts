// The typed client. A refusal is thrown as a `Refusal` with the server's problem document.
import createClient from 'openapi-fetch';
import type { Middleware } from 'openapi-fetch';
import { learn } from '@/app/time';
import type { components, paths } from './schema.gen';

export type Schema = components['schemas'];
export type Problem = Schema['Problem'];

/** The server has said no, or could not be reached (status 0). */
export class Refusal extends Error {
  readonly status: number;
  readonly problem: Problem | undefined;
  readonly retryAfter: number | undefined;

  constructor(status: number, problem: Problem | undefined, retryAfter?: number) {
    super(problem?.detail ?? problem?.title ?? `HTTP ${status}`);
    this.name = 'Refusal';
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  get code(): string {
    return this.problem?.code ?? (this.status === 0 ? 'unreachable' : 'internal');
  }
}

const clockOfServer: Middleware = {
  onResponse({ response }) {
    learn(response.headers.get('date'));
  },
};

async function send(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Refusal(0, undefined);
  }
}

export const client = createClient<paths>({
  baseUrl: location.origin,
  credentials: 'same-origin',
  fetch: send,
});
client.use(clockOfServer);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && 'code' in value && 'title' in value;
}

/** The data of an answer. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) {
    const wait = Number(response.headers.get('retry-after') ?? Number.NaN);
    throw new Refusal(
      response.status,
      isProblem(error) ? error : undefined,
      Number.isNaN(wait) ? undefined : wait,
    );
  }
  // An answer without a body has no data.
  return data as T;
}
