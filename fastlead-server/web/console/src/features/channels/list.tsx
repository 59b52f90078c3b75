import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { Plus } from 'lucide-react';
import { useDocumentTitle } from '@/app/heading';
import { channelsQuery, isAdmin, meQuery } from '@/app/session';
import { named, texts, useTexts } from '@/app/text';
import { Badge } from '@/ui/badge';
import { buttonLooks } from '@/ui/button';
import { Empty, Fault, Loading } from '@/ui/state';
import { health, healths, kinds, reasons } from './words';

const words = texts(
  {
    title: 'Каналы',
    add: 'Добавить канал',
    empty: 'Каналов пока нет',
    emptyHow: 'Канал — это бот, почта или рассылка СМС, через которые уходят сообщения. Добавьте первый.',
  },
  {
    title: 'Channels',
    add: 'Add a channel',
    empty: 'No channels yet',
    emptyHow: 'A channel is a bot, a mailbox or an SMS account that carries messages. Add the first one.',
  },
);

export function ChannelsPage() {
  const t = useTexts(words);
  const h = useTexts(healths);
  const k = useTexts(kinds);
  const r = useTexts(reasons);
  useDocumentTitle(t.title);
  const found = useQuery(channelsQuery);
  const { data: me } = useQuery(meQuery);
  const channels = found.data?.items ?? [];
  return (
    <div className="grid gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-2xl font-semibold">{t.title}</h1>
        {isAdmin(me) && (
          <Link to="/channels/new" className={buttonLooks({ look: 'main' })}>
            <Plus aria-hidden size={16} />
            {t.add}
          </Link>
        )}
      </div>
      {found.isPending && <Loading rows={4} />}
      {found.isError && (
        <Fault error={found.error} shownBefore={channels.length > 0} onAgain={() => void found.refetch()} />
      )}
      {found.isSuccess && channels.length === 0 && (
        <Empty title={t.empty}>
          <p>{t.emptyHow}</p>
        </Empty>
      )}
      <ul className="grid gap-2">
        {channels.map((channel) => {
          const state = health(channel);
          return (
            <li
              key={channel.id}
              className="relative flex flex-wrap items-center gap-x-4 gap-y-2 rounded-xl border border-line bg-panel p-4 hover:bg-sunk"
            >
              <Link
                to="/channels/$id"
                params={{ id: channel.id }}
                data-row
                className="tap inline-flex items-center font-medium after:absolute after:inset-0"
              >
                {channel.name}
              </Link>
              <span className="text-dim">{named(k, channel.kind)}</span>
              <span className="ml-auto flex flex-wrap items-center gap-2">
                {channel.paused_reason && (
                  <span className="text-sm text-dim">{named(r, channel.paused_reason)}</span>
                )}
                <Badge tone={state.tone} sign={state.sign}>
                  {h[state.key]}
                </Badge>
              </span>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
