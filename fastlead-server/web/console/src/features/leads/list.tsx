import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Link, getRouteApi, useNavigate } from '@tanstack/react-router';
import { ArrowUp } from 'lucide-react';
import { useEffect, useMemo, useState } from 'react';
import { ask, client } from '@/api/client';
import type { Schema } from '@/api/client';
import { useDocumentTitle } from '@/app/heading';
import { useLook } from '@/app/look';
import { projectsQuery, sourcesQuery } from '@/app/session';
import { countEn, countRu, named, texts, useTexts } from '@/app/text';
import { short, useNow } from '@/app/time';
import { Badge } from '@/ui/badge';
import { Button, buttonLooks } from '@/ui/button';
import { Empty, Fault, Loading } from '@/ui/state';
import { Filters } from './filters';
import { conditions, query } from './filter';
import type { LeadFilter } from './filter';
import { leadLook, names } from './words';

const words = texts(
  {
    title: 'Заявки',
    table: 'Список заявок',
    columns: {
      time: 'Время',
      name: 'Имя',
      phone: 'Контакт',
      status: 'Состояние',
      owner: 'У кого',
      source: 'Источник',
    },
    more: 'Показать ещё',
    reading: 'Читаем…',
    fresh: (count: number) => countRu(count, 'новая заявка', 'новые заявки', 'новых заявок'),
    empty: 'Заявок пока нет',
    emptyHow:
      'Оставьте первую: откройте форму источника на своём сайте или по её ссылке — заявка появится здесь сама.',
    form: 'Открыть форму',
    none: 'Ничего не подходит',
    noneHow: 'Ни одна заявка не подходит под эти условия.',
    clear: 'Сбросить условия',
    zone: (zone: string) => `Время: ${zone}`,
    ownZone: 'Время указано по поясу проекта',
    nobody: '—',
    unreadable: (count: number) => `Не читаются: ${count}. Подробности в журнале сервера.`,
  },
  {
    title: 'Leads',
    table: 'List of leads',
    columns: {
      time: 'Time',
      name: 'Name',
      phone: 'Contact',
      status: 'Status',
      owner: 'Who has it',
      source: 'Source',
    },
    more: 'Show more',
    reading: 'Reading…',
    fresh: (count: number) => countEn(count, 'new lead', 'new leads'),
    empty: 'No leads yet',
    emptyHow:
      'Leave the first one: open the form of a source on your site or by its link, and the lead appears here by itself.',
    form: 'Open the form',
    none: 'Nothing matches',
    noneHow: 'No lead meets these conditions.',
    clear: 'Clear the conditions',
    zone: (zone: string) => `Time: ${zone}`,
    ownZone: 'Times are in the zone of the project',
    nobody: '—',
    unreadable: (count: number) => `Cannot be read: ${count}. The log of the server says more.`,
  },
);

const route = getRouteApi('/inside/leads');
const PAGE = 50;
/** Whoever has scrolled further than this reads something. */
const AT_TOP_PX = 80;

type Lead = Schema['LeadSummary'];

export function leadsQuery(filter: LeadFilter, zone: string | undefined) {
  return {
    queryKey: ['leads', filter, zone] as const,
    queryFn: ({ pageParam, signal }: { pageParam: string | undefined; signal: AbortSignal }) =>
      ask(
        client.GET('/v1/leads', {
          signal,
          params: {
            query: { ...query(filter, zone), limit: PAGE, ...(pageParam ? { cursor: pageParam } : {}) },
          },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: { next_cursor?: string | null }) => page.next_cursor ?? undefined,
    placeholderData: keepPreviousData,
  };
}

/** The zone whose days a period is made of: that of the chosen project, or the one that all projects share. */
export function zoneOf(projects: Schema['Project'][], project: string | undefined): string | undefined {
  const zones = new Set(
    projects.filter(({ id }) => !project || id === project).map(({ zone }) => zone ?? ''),
  );
  const [zone] = zones;
  return zones.size === 1 && zone ? zone : undefined;
}

/** Whether the list stands at its top. */
function useAtTop(): boolean {
  const [top, setTop] = useState(() => scrollY < AT_TOP_PX);
  useEffect(() => {
    const look = () => {
      setTop(scrollY < AT_TOP_PX);
    };
    addEventListener('scroll', look, { passive: true });
    return () => {
      removeEventListener('scroll', look);
    };
  }, []);
  return top;
}

/** Splits a list, newest first, at the lead that stood first when it was last at its top. */
export function splitFresh<T extends { id: string }>(
  items: T[],
  first: string | undefined,
): { fresh: number; shown: T[] } {
  const at = first === undefined ? -1 : items.findIndex((item) => item.id <= first);
  return at <= 0 ? { fresh: 0, shown: items } : { fresh: at, shown: items.slice(at) };
}

export function LeadsPage() {
  const t = useTexts(words);
  const filter = route.useSearch();
  const navigate = useNavigate();
  useDocumentTitle(t.title);
  const { data: projects } = useQuery(projectsQuery);
  const zone = zoneOf(projects?.items ?? [], filter.project);
  const found = useInfiniteQuery(leadsQuery(filter, zone));
  const { data: sources } = useQuery(sourcesQuery);
  const items = useMemo(() => found.data?.pages.flatMap((page) => page.items) ?? [], [found.data]);
  const unreadable = found.data?.pages.reduce((sum, page) => sum + (page.unreadable?.length ?? 0), 0) ?? 0;

  // What is being read is not pushed down: newer leads wait above until the list is at its top again.
  const atTop = useAtTop();
  const view = JSON.stringify(filter);
  const [held, setHeld] = useState<{ view: string; first: string | undefined }>({ view, first: undefined });
  const newest = items[0]?.id;
  if (
    (atTop || held.view !== view) &&
    !found.isPlaceholderData &&
    (held.first !== newest || held.view !== view)
  ) {
    setHeld({ view, first: newest });
  }
  const isNewestFirst = filter.sort === undefined;
  const { fresh, shown } = splitFresh(
    items,
    isNewestFirst && !atTop && held.view === view ? held.first : undefined,
  );

  const clear = () => {
    void navigate({ to: '/leads', search: {} });
  };

  return (
    <div className="grid gap-4">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
        <h1 className="text-2xl font-semibold">{t.title}</h1>
        {projects && <p className="text-sm text-dim">{zone ? t.zone(zone) : t.ownZone}</p>}
      </div>
      <Filters filter={filter} projects={projects?.items ?? []} sources={sources?.items ?? []} zone={zone} />
      {found.isError && (
        <Fault error={found.error} shownBefore={items.length > 0} onAgain={() => void found.refetch()} />
      )}
      {unreadable > 0 && (
        <p role="status" className="rounded-lg bg-warn-soft px-4 py-2 text-warn">
          {t.unreadable(unreadable)}
        </p>
      )}
      {fresh > 0 && (
        <Button
          look="main"
          className="sticky top-14 z-20 justify-self-center rounded-full shadow-lg md:top-3"
          onClick={() => {
            scrollTo({ top: 0 });
          }}
        >
          <ArrowUp aria-hidden size={16} />
          {t.fresh(fresh)}
        </Button>
      )}
      {found.isPending && <Loading rows={8} />}
      {found.isSuccess && shown.length === 0 && conditions(filter) > 0 && (
        <Empty title={t.none}>
          <p className="mb-4">{t.noneHow}</p>
          <Button onClick={clear}>{t.clear}</Button>
        </Empty>
      )}
      {found.isSuccess && shown.length === 0 && conditions(filter) === 0 && (
        <Empty title={t.empty}>
          <p className="mb-4">{t.emptyHow}</p>
          {sources?.items[0] && (
            <a
              className={buttonLooks({ look: 'plain' })}
              href={sources.items[0].form_url}
              target="_blank"
              rel="noreferrer"
            >
              {t.form}
            </a>
          )}
        </Empty>
      )}
      {shown.length > 0 && (
        <Rows
          leads={shown}
          zones={new Map(projects?.items.map((project) => [project.id, project.zone ?? undefined]))}
          sourceOf={new Map(sources?.items.map((source) => [source.id, source.name]))}
          busy={found.isPlaceholderData}
        />
      )}
      {found.hasNextPage && (
        <Button
          className="justify-self-center"
          disabled={found.isFetchingNextPage}
          onClick={() => {
            void found.fetchNextPage();
          }}
        >
          {found.isFetchingNextPage ? t.reading : t.more}
        </Button>
      )}
    </div>
  );
}

interface RowsProps {
  leads: Lead[];
  zones: Map<string, string | undefined>;
  sourceOf: Map<string, string>;
  busy: boolean;
}

/** One list for both sizes: rows of a table where there is room, cards on phones. */
function Rows({ leads, zones, sourceOf, busy }: RowsProps) {
  const t = useTexts(words);
  const n = useTexts(names);
  const locale = useLook((look) => look.locale);
  const now = useNow();
  const { columns } = t;
  const cell = 'md:table-cell md:border-t md:border-line md:px-3 md:py-2 md:align-middle';
  return (
    <table
      aria-label={t.table}
      aria-busy={busy}
      className={`block w-full md:table ${busy ? 'opacity-60' : ''}`}
    >
      <thead className="sr-only md:not-sr-only md:table-header-group">
        <tr className="text-left text-sm text-dim md:table-row">
          {Object.entries(columns).map(([key, label]) => (
            <th key={key} scope="col" className="px-3 py-2 font-medium">
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody className="grid gap-2 md:table-row-group md:rounded-xl md:bg-panel">
        {leads.map((lead) => {
          const { capture } = lead;
          const look = leadLook(lead.status);
          const name = capture.name ?? (capture.erased_at ? n.erased : n.noName);
          const contact = capture.phone ?? capture.email ?? capture.handles[0]?.id;
          return (
            <tr
              key={lead.id}
              className="relative grid grid-cols-[1fr_auto] gap-x-3 gap-y-1 rounded-xl border border-line bg-panel p-3 hover:bg-sunk md:table-row md:border-0"
            >
              <td
                className={`order-2 text-right text-sm whitespace-nowrap md:text-left text-dim tabular-nums ${cell}`}
              >
                <time dateTime={lead.created_at} title={lead.created_at}>
                  {short(lead.created_at, now, locale, zones.get(lead.project_id))}
                </time>
              </td>
              <td className={`order-1 font-medium ${cell}`}>
                <Link
                  to="/leads/$id"
                  params={{ id: lead.id }}
                  search={{}}
                  data-row
                  className="tap flex items-center rounded after:absolute after:inset-0 md:inline md:min-h-0"
                >
                  {name}
                </Link>
              </td>
              <td className={`order-3 ${cell}`}>
                {capture.phone ? (
                  <a
                    href={`tel:${capture.phone}`}
                    className="tap relative inline-flex min-h-6 items-center text-accent underline"
                  >
                    {capture.phone}
                  </a>
                ) : (
                  <span className={contact ? '' : 'text-dim'}>{contact ?? n.noContact}</span>
                )}
              </td>
              <td className={`order-4 self-center text-right md:text-left ${cell}`}>
                <Badge tone={look.tone} sign={look.sign}>
                  {named(n.status, lead.status)}
                </Badge>
              </td>
              <td className={`order-5 ${lead.assigned_to ? '' : 'max-md:hidden'} ${cell}`}>
                <span className="text-sm text-dim md:hidden">{columns.owner}: </span>
                {lead.assigned_to ?? t.nobody}
              </td>
              <td className={`order-6 text-sm text-dim max-md:hidden ${cell}`}>
                {sourceOf.get(lead.source_id)}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
