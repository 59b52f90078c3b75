import {
  Outlet,
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from '@tanstack/react-router';
import { Refusal } from '@/api/client';
import { readFilter } from '@/features/leads/filter';
import { Login } from '@/features/session/login';
import { Fault } from '@/ui/state';
import { queries, whenSignedOut } from './data';
import { reloadIfOld } from './reload';
import { meQuery } from './session';
import { Shell } from './shell';

const root = createRootRoute({ component: Outlet });

/** Where to go after signing in: a room of the console and nothing else. */
export function readNext(search: Record<string, unknown>): { next?: string } {
  const { next } = search;
  return typeof next === 'string' && /^\/(?!\/)[^\\]*$/.test(next) ? { next } : {};
}

const login = createRoute({
  getParentRoute: () => root,
  path: '/login',
  validateSearch: readNext,
  component: Login,
});

/** Everything behind the sign-in. */
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  beforeLoad: async ({ location }) => {
    reloadIfOld();
    try {
      await queries.query({ ...meQuery, staleTime: 'static' });
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) {
        throw redirect({ to: '/login', search: location.href === '/' ? {} : { next: location.href } });
      }
      throw error;
    }
  },
  component: Shell,
  errorComponent: ({ error, reset }) => (
    <div className="p-4">
      <Fault
        error={error}
        onAgain={() => {
          void router.invalidate();
          reset();
        }}
      />
    </div>
  ),
});

const start = createRoute({
  getParentRoute: () => inside,
  path: '/',
  beforeLoad: () => {
    throw redirect({ to: '/leads', search: {}, replace: true });
  },
});

const leads = createRoute({
  getParentRoute: () => inside,
  path: '/leads',
  validateSearch: readFilter,
  component: lazyRouteComponent(() => import('@/features/leads/list'), 'LeadsPage'),
});

const lead = createRoute({
  getParentRoute: () => inside,
  path: '/leads/$id',
  validateSearch: (search: Record<string, unknown>): { tab?: string } =>
    typeof search.tab === 'string' ? { tab: search.tab } : {},
  component: lazyRouteComponent(() => import('@/features/leads/lead'), 'LeadPage'),
});

const channels = createRoute({
  getParentRoute: () => inside,
  path: '/channels',
  component: lazyRouteComponent(() => import('@/features/channels/list'), 'ChannelsPage'),
});

const newChannel = createRoute({
  getParentRoute: () => inside,
  path: '/channels/new',
  validateSearch: (search: Record<string, unknown>): { kind?: string } =>
    typeof search.kind === 'string' ? { kind: search.kind } : {},
  component: lazyRouteComponent(() => import('@/features/channels/new'), 'NewChannelPage'),
});

const channel = createRoute({
  getParentRoute: () => inside,
  path: '/channels/$id',
  component: lazyRouteComponent(() => import('@/features/channels/channel'), 'ChannelPage'),
});

const policies = createRoute({
  getParentRoute: () => inside,
  path: '/policies',
  component: lazyRouteComponent(() => import('@/features/policies/list'), 'PoliciesPage'),
});

const policy = createRoute({
  getParentRoute: () => inside,
  path: '/policies/$project',
  validateSearch: (search: Record<string, unknown>): { tab?: string } =>
    search.tab === 'versions' ? { tab: search.tab } : {},
  component: lazyRouteComponent(() => import('@/features/policies/policy'), 'PolicyPage'),
});

export const router = createRouter({
  routeTree: root.addChildren([
    login,
    inside.addChildren([start, leads, lead, channels, newChannel, channel, policies, policy]),
  ]),
  basepath: '/console',
  defaultPreload: 'intent',
  scrollRestoration: true,
});

whenSignedOut(() => {
  if (router.state.location.pathname.endsWith('/login')) return;
  queries.removeQueries({ queryKey: meQuery.queryKey });
  void router.navigate({ to: '/login', search: { next: router.state.location.href } });
});

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router;
  }
}
