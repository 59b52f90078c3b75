import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, Outlet, useRouter } from '@tanstack/react-router';
import { Inbox, LogOut, Menu, Radio, ScrollText, WifiOff } from 'lucide-react';
import type { LucideIcon } from 'lucide-react';
import { useState } from 'react';
import { ask, client } from '@/api/client';
import { useLine } from '@/api/live';
import { Button } from '@/ui/button';
import { Dialog } from '@/ui/dialog';
import { Troubles } from '@/features/channels/troubles';
import { queries, useLive } from './data';
import { ShortcutsHelp, useShortcuts } from './keys';
import { LookSwitches } from './look-switches';
import { useLook } from './look';
import { meQuery } from './session';
import { texts, useTexts } from './text';
import { clock } from './time';

const words = texts(
  {
    skip: 'К содержанию',
    menu: 'Меню',
    rooms: { leads: 'Заявки', channels: 'Каналы', policies: 'Политики' },
    out: 'Выйти',
    live: 'на связи',
    connecting: 'соединяемся…',
    broken: (since: string) => `нет связи с ${since}; показано то, что было прочитано раньше`,
    signedIn: (login: string) => `Вы вошли как ${login}`,
    roles: { admin: 'администратор', operator: 'оператор' },
  },
  {
    skip: 'To the content',
    menu: 'Menu',
    rooms: { leads: 'Leads', channels: 'Channels', policies: 'Policies' },
    out: 'Sign out',
    live: 'live',
    connecting: 'connecting…',
    broken: (since: string) => `no connection since ${since}; what is shown was read before`,
    signedIn: (login: string) => `Signed in as ${login}`,
    roles: { admin: 'administrator', operator: 'operator' },
  },
);

interface Room {
  to: '/leads' | '/channels' | '/policies';
  key: 'leads' | 'channels' | 'policies';
  sign: LucideIcon;
}

const ROOMS: Room[] = [
  { to: '/leads', key: 'leads', sign: Inbox },
  { to: '/channels', key: 'channels', sign: Radio },
  { to: '/policies', key: 'policies', sign: ScrollText },
];

function Rooms({ onGo }: { onGo?: () => void }) {
  const t = useTexts(words);
  return ROOMS.map(({ to, key, sign: Sign }) => (
    <Link
      key={key}
      to={to}
      onClick={onGo}
      className="tap flex min-h-10 items-center gap-3 rounded-lg px-3 font-medium text-dim hover:bg-sunk hover:text-text aria-[current=page]:bg-accent-soft aria-[current=page]:text-accent"
    >
      <Sign aria-hidden size={18} />
      {t.rooms[key]}
    </Link>
  ));
}

/** Whether the page hears the server, and since when it does not. */
function LineState() {
  const t = useTexts(words);
  const locale = useLook((look) => look.locale);
  const line = useLine((state) => state.line);
  if (line.state === 'broken') {
    const since = clock(new Date(line.since).toISOString(), locale);
    return (
      <p
        role="status"
        className="flex items-center gap-2 rounded-lg bg-warn-soft px-2 py-1 text-sm text-warn"
      >
        <WifiOff aria-hidden size={16} className="shrink-0" />
        {t.broken(since)}
      </p>
    );
  }
  const isLive = line.state === 'live';
  return (
    <p role="status" className="flex items-center gap-2 text-sm text-dim">
      <span aria-hidden className={`size-2 rounded-full ${isLive ? 'bg-good' : 'bg-edge'}`} />
      {isLive ? t.live : t.connecting}
    </p>
  );
}

function Account() {
  const t = useTexts(words);
  const router = useRouter();
  const { data: me } = useQuery(meQuery);
  const leave = useMutation({
    mutationFn: () => ask(client.DELETE('/v1/session')),
    // Whatever the server says, nothing of the session stays in the page.
    onSettled: async () => {
      queries.clear();
      await router.navigate({ to: '/login', search: {} });
    },
  });
  return (
    <div className="grid gap-3">
      {me && (
        <p className="text-sm text-dim">
          {t.signedIn(me.login ?? '')} ({t.roles[me.role]})
        </p>
      )}
      <LookSwitches />
      <Button
        className="justify-self-start"
        disabled={leave.isPending}
        onClick={() => {
          leave.mutate();
        }}
      >
        <LogOut aria-hidden size={16} />
        {t.out}
      </Button>
    </div>
  );
}

/** What stands around every room. */
export function Shell() {
  const t = useTexts(words);
  const [open, setOpen] = useState(false);
  useLive();
  const help = useShortcuts();
  const close = () => {
    setOpen(false);
  };
  return (
    <div className="grid min-h-dvh grid-rows-[auto_1fr] md:grid-cols-[15rem_1fr] md:grid-rows-1">
      <a
        href="#content"
        className="sr-only z-50 rounded-lg bg-panel px-3 py-2 focus:not-sr-only focus:absolute focus:top-2 focus:left-2"
      >
        {t.skip}
      </a>
      <header className="sticky top-0 z-30 flex items-center gap-3 border-b border-line bg-panel px-3 py-2 md:hidden">
        <Button
          look="quiet"
          aria-label={t.menu}
          onClick={() => {
            setOpen(true);
          }}
        >
          <Menu aria-hidden size={20} />
        </Button>
        <p className="font-semibold">FastLead</p>
        <div className="ml-auto">
          <LineState />
        </div>
      </header>
      <Dialog open={open} onClose={close} title={t.menu} place="side">
        <nav aria-label={t.menu} className="grid gap-1">
          <Rooms onGo={close} />
        </nav>
        <Account />
      </Dialog>
      <aside className="sticky top-0 hidden h-dvh content-start gap-4 overflow-auto border-r border-line bg-panel p-4 md:grid">
        <p className="px-3 text-lg font-semibold">FastLead</p>
        <nav aria-label={t.menu} className="grid gap-1">
          <Rooms />
        </nav>
        <LineState />
        <Account />
      </aside>
      <main id="content" tabIndex={-1} className="mx-auto w-full max-w-6xl min-w-0 p-4 outline-none md:p-6">
        <Troubles />
        <Outlet />
      </main>
      <ShortcutsHelp {...help} />
    </div>
  );
}
