import { queryOptions, useQuery } from '@tanstack/react-query';
import { Link, getRouteApi, useNavigate } from '@tanstack/react-router';
import { ArrowLeft } from 'lucide-react';
import { ask, client } from '@/api/client';
import type { Schema } from '@/api/client';
import { useDocumentTitle } from '@/app/heading';
import { useLook } from '@/app/look';
import type { Locale } from '@/app/look';
import { projectsQuery } from '@/app/session';
import { named, texts, useTexts } from '@/app/text';
import { left, useNow } from '@/app/time';
import { Badge } from '@/ui/badge';
import { Copy } from '@/ui/copy';
import { Fault, Loading } from '@/ui/state';
import { Tabs } from '@/ui/tabs';
import { Actions } from './actions';
import { LeadData } from './data';
import { Deliveries } from './deliveries';
import { Story } from './story';
import { leadLook, names } from './words';

const words = texts(
  {
    back: 'Заявки',
    title: 'Заявка',
    parts: 'Части заявки',
    story: 'История',
    deliveries: (count: number) => `Сообщения: ${count}`,
    data: 'Данные и согласия',
    phone: 'телефон',
    has: (who: string) => `у кого: ${who}`,
    offered: (who: string) => `предложена: ${who}`,
    rejected: (code: string) => `причина: ${code}`,
    timer: (what: string, time: string) => `${what}: через ${time}`,
    due: (what: string) => `${what}: сейчас`,
    unread: 'Эту заявку нельзя прочитать целиком; ниже то, что читается.',
    long: 'История длинная; показано её начало.',
  },
  {
    back: 'Leads',
    title: 'Lead',
    parts: 'Parts of the lead',
    story: 'Story',
    deliveries: (count: number) => `Messages: ${count}`,
    data: 'Data and consents',
    phone: 'phone',
    has: (who: string) => `${who} has it`,
    offered: (who: string) => `offered to ${who}`,
    rejected: (code: string) => `reason: ${code}`,
    timer: (what: string, time: string) => `${what}: in ${time}`,
    due: (what: string) => `${what}: now`,
    unread: 'This lead cannot be read as a whole; below is what can.',
    long: 'The story is long; its beginning is shown.',
  },
);

const route = getRouteApi('/inside/leads/$id');

export type Explanation = Schema['LeadExplanation'];
export type Lead = Schema['Lead'];

export function leadQuery(id: string, locale: Locale) {
  return queryOptions({
    queryKey: ['lead', id, locale] as const,
    queryFn: ({ signal }) =>
      ask(client.GET('/v1/leads/{id}/explain', { signal, params: { path: { id }, query: { locale } } })),
  });
}

const TABS = ['story', 'deliveries', 'data'];

export function LeadPage() {
  const t = useTexts(words);
  const n = useTexts(names);
  const locale = useLook((look) => look.locale);
  const { id } = route.useParams();
  const { tab } = route.useSearch();
  const navigate = useNavigate();
  const found = useQuery(leadQuery(id, locale));
  const { data: projects } = useQuery(projectsQuery);
  const lead = found.data?.lead ?? undefined;
  const capture = lead?.capture;
  const name = capture ? (capture.name ?? (capture.erased_at ? n.erased : n.noName)) : t.title;
  useDocumentTitle(name);
  const zone = projects?.items.find((project) => project.id === lead?.project_id)?.zone ?? undefined;
  const open = TABS.includes(tab ?? '') ? (tab ?? 'story') : 'story';

  return (
    <div className="grid gap-4">
      <Link
        to="/leads"
        search={{}}
        className="tap inline-flex items-center gap-1 justify-self-start text-accent underline"
      >
        <ArrowLeft aria-hidden size={16} />
        {t.back}
      </Link>
      {found.isPending && <Loading />}
      {found.isError && (
        <Fault
          error={found.error}
          shownBefore={found.data !== undefined}
          onAgain={() => void found.refetch()}
        />
      )}
      {found.data && (
        <>
          <header className="grid gap-3 rounded-2xl border border-line bg-panel p-4">
            <h1 className="text-2xl font-semibold">{name}</h1>
            {capture && (
              <div className="flex flex-wrap items-center gap-x-4 gap-y-1">
                {capture.phone && (
                  <span className="inline-flex items-center gap-1">
                    <a
                      href={`tel:${capture.phone}`}
                      className="tap inline-flex items-center text-accent underline"
                    >
                      {capture.phone}
                    </a>
                    <Copy text={capture.phone} what={t.phone} />
                  </span>
                )}
                {capture.email && (
                  <a
                    href={`mailto:${capture.email}`}
                    className="tap inline-flex items-center text-accent underline"
                  >
                    {capture.email}
                  </a>
                )}
              </div>
            )}
            {lead && <Standing lead={lead} />}
            {lead && <Actions lead={lead} />}
          </header>
          {!lead && (
            <p role="status" className="rounded-lg bg-warn-soft px-4 py-2 text-warn">
              {t.unread}
            </p>
          )}
          {!found.data.complete && (
            <p role="status" className="rounded-lg bg-warn-soft px-4 py-2 text-warn">
              {t.long}
            </p>
          )}
          <Tabs
            label={t.parts}
            open={open}
            onOpen={(key) => {
              void navigate({
                to: '/leads/$id',
                params: { id },
                search: key === 'story' ? {} : { tab: key },
                replace: true,
              });
            }}
            tabs={[
              { key: 'story', label: t.story, body: <Story explanation={found.data} zone={zone} /> },
              {
                key: 'deliveries',
                label: t.deliveries(found.data.deliveries.length),
                body: <Deliveries deliveries={found.data.deliveries} zone={zone} />,
              },
              { key: 'data', label: t.data, body: <LeadData lead={lead} zone={zone} /> },
            ]}
          />
        </>
      )}
    </div>
  );
}

/** Where the lead stands, and what comes next, by the clock of the server. */
function Standing({ lead }: { lead: Lead }) {
  const t = useTexts(words);
  const n = useTexts(names);
  const now = useNow();
  const { state } = lead;
  const look = leadLook(state.status);
  const waiting = state.offers.filter((offer) => offer.alive > 0 && !offer.declined && !offer.lapsed);
  const next = state.timers.reduce<Schema['LeadTimer'] | undefined>(
    (first, timer) => (first === undefined || timer.due_at < first.due_at ? timer : first),
    undefined,
  );
  const remains = next ? Date.parse(next.due_at) - now : 0;
  const parts = [
    state.assigned_to ? t.has(state.assigned_to) : '',
    !state.assigned_to && waiting.length > 0
      ? t.offered(waiting.map((offer) => offer.target).join(', '))
      : '',
    state.reject_code ? t.rejected(state.reject_code) : '',
  ].filter(Boolean);
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
      <Badge tone={look.tone} sign={look.sign}>
        {named(n.status, state.status)}
      </Badge>
      {parts.map((part) => (
        <span key={part}>{part}</span>
      ))}
      {next && (
        <span className="text-dim tabular-nums">
          {remains > 0 ? t.timer(named(n.timer, next.name), left(remains)) : t.due(named(n.timer, next.name))}
        </span>
      )}
      {state.tags.map((tag) => (
        <span key={tag} className="rounded-full bg-sunk px-2 text-sm">
          {tag}
        </span>
      ))}
    </div>
  );
}
