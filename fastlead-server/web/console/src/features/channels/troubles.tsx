import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { TriangleAlert } from 'lucide-react';
import { channelsQuery } from '@/app/session';
import { named, texts, useTexts } from '@/app/text';
import { reasons } from './words';

const words = texts(
  {
    paused: (name: string, reason: string) => `Канал «${name}» приостановлен: ${reason}.`,
    mend: 'Исправить',
  },
  { paused: (name: string, reason: string) => `Channel “${name}” is paused: ${reason}.`, mend: 'Mend' },
);

/** On every page: channels that were paused by a fault of their account, one line each. Who pauses a channel knows it. */
export function Troubles() {
  const t = useTexts(words);
  const r = useTexts(reasons);
  const { data } = useQuery(channelsQuery);
  const paused =
    data?.items.filter((channel) => channel.status === 'paused' && channel.paused_reason !== 'operator') ??
    [];
  if (paused.length === 0) return null;
  return (
    <ul className="mb-4 grid gap-2">
      {paused.map((channel) => (
        <li key={channel.id} className="flex items-center gap-2 rounded-lg bg-warn-soft px-4 py-2 text-warn">
          <TriangleAlert aria-hidden size={18} className="shrink-0" />
          <span>
            {t.paused(channel.name, named(r, channel.paused_reason ?? ''))}{' '}
            <Link
              to="/channels/$id"
              params={{ id: channel.id }}
              className="tap inline-flex items-center underline"
            >
              {t.mend}
            </Link>
          </span>
        </li>
      ))}
    </ul>
  );
}
