import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { Search } from 'lucide-react';
import { useEffect, useState } from 'react';
import { ask, client } from '@/api/client';
import type { Schema } from '@/api/client';
import { named, texts, useTexts } from '@/app/text';
import { Field, Input, Select } from '@/ui/field';
import { STATUSES, isLeadId, query, withoutOrder } from './filter';
import type { LeadFilter } from './filter';
import { names } from './words';

const words = texts(
  {
    filters: 'Условия',
    search: 'Поиск: телефон, имя, почта или номер заявки',
    searchHint: 'Телефон, имя, почта',
    status: 'Состояние',
    anyStatus: 'Любое состояние',
    project: 'Проект',
    anyProject: 'Все проекты',
    source: 'Источник',
    anySource: 'Все источники',
    from: 'С даты',
    to: 'По дату',
    sort: 'Порядок',
    newest: 'Сначала новые',
    oldest: 'Сначала старые',
    more: 'Ещё условия',
    found: (count: string, exact: boolean) => (exact ? `Найдено: ${count}` : `Найдено больше ${count}`),
  },
  {
    filters: 'Conditions',
    search: 'Search: phone, name, e-mail or number of a lead',
    searchHint: 'Phone, name, e-mail',
    status: 'Status',
    anyStatus: 'Any status',
    project: 'Project',
    anyProject: 'All projects',
    source: 'Source',
    anySource: 'All sources',
    from: 'From',
    to: 'To',
    sort: 'Order',
    newest: 'Newest first',
    oldest: 'Oldest first',
    more: 'More conditions',
    found: (count: string, exact: boolean) => (exact ? `Found: ${count}` : `Found more than ${count}`),
  },
);

/** Whoever types is not asked after each letter. */
const TYPING_MILLIS = 250;

interface FiltersProps {
  filter: LeadFilter;
  projects: Schema['Project'][];
  sources: Schema['Source'][];
  zone: string | undefined;
}

export function Filters({ filter, projects, sources, zone }: FiltersProps) {
  const t = useTexts(words);
  const n = useTexts(names);
  const navigate = useNavigate();
  /** Shows other leads; what is empty is no condition. */
  const change = (part: Partial<Record<keyof LeadFilter, string>>, replace = false) => {
    const wanted = Object.entries({ ...filter, ...part }).filter(([, value]) => value !== '');
    void navigate({ to: '/leads', search: Object.fromEntries(wanted), replace });
  };
  const { status, ...others } = filter;
  const counted = withoutOrder(others);
  const { data: counts } = useQuery({
    queryKey: ['counts', counted, zone],
    queryFn: ({ signal }) =>
      ask(client.GET('/v1/leads/count', { signal, params: { query: query(counted, zone) } })),
  });
  const number = (of: string) => (counts ? ` (${(counts.by_status[of] ?? 0).toLocaleString('ru')})` : '');
  const found = status ? (counts?.by_status[status] ?? 0) : counts?.total;
  const ofProject = sources.filter((source) => !filter.project || source.project_id === filter.project);
  const isMore = Boolean(filter.from ?? filter.to ?? filter.sort ?? filter.source);
  return (
    <search aria-label={t.filters} className="grid gap-2">
      <div className="grid gap-2 md:grid-cols-[minmax(14rem,2fr)_1fr_1fr]">
        <SearchBox
          key={filter.q ?? ''}
          value={filter.q ?? ''}
          onSearch={(q) => {
            if (isLeadId(q)) void navigate({ to: '/leads/$id', params: { id: q.trim() }, search: {} });
            else change({ q }, filter.q !== undefined);
          }}
        />
        <Select
          aria-label={t.status}
          value={status ?? ''}
          onValue={(value) => {
            change({ status: value });
          }}
          options={[
            { value: '', label: t.anyStatus },
            ...STATUSES.filter((value) => value !== 'new').map((value) => ({
              value,
              label: `${named(n.status, value)}${number(value)}`,
            })),
          ]}
        />
        <Select
          aria-label={t.project}
          value={filter.project ?? ''}
          onValue={(project) => {
            change({ project, source: '' });
          }}
          options={[
            { value: '', label: t.anyProject },
            ...projects.map(({ id, name }) => ({ value: id, label: name })),
          ]}
        />
      </div>
      <details open={isMore}>
        <summary className="tap inline-flex items-center text-sm text-accent underline">{t.more}</summary>
        <div className="mt-2 grid grid-cols-2 gap-2 md:grid-cols-4">
          <Field label={t.source}>
            {(props) => (
              <Select
                {...props}
                value={filter.source ?? ''}
                onValue={(source) => {
                  change({ source });
                }}
                options={[
                  { value: '', label: t.anySource },
                  ...ofProject.map(({ id, name }) => ({ value: id, label: name })),
                ]}
              />
            )}
          </Field>
          <Field label={t.from}>
            {(props) => (
              <Input
                {...props}
                type="date"
                value={filter.from ?? ''}
                onChange={(event) => {
                  change({ from: event.target.value });
                }}
              />
            )}
          </Field>
          <Field label={t.to}>
            {(props) => (
              <Input
                {...props}
                type="date"
                value={filter.to ?? ''}
                onChange={(event) => {
                  change({ to: event.target.value });
                }}
              />
            )}
          </Field>
          <Field label={t.sort}>
            {(props) => (
              <Select
                {...props}
                value={filter.sort ?? ''}
                onValue={(sort) => {
                  change({ sort });
                }}
                options={[
                  { value: '', label: t.newest },
                  { value: 'oldest', label: t.oldest },
                ]}
              />
            )}
          </Field>
        </div>
      </details>
      <p role="status" className="text-sm text-dim">
        {found !== undefined && t.found(found.toLocaleString('ru'), counts?.exact ?? true)}
      </p>
    </search>
  );
}

function SearchBox({ value, onSearch }: { value: string; onSearch: (q: string) => void }) {
  const t = useTexts(words);
  const [typed, setTyped] = useState(value);
  useEffect(() => {
    if (typed.trim() === value) return;
    const timer = setTimeout(() => {
      onSearch(typed.trim());
    }, TYPING_MILLIS);
    return () => {
      clearTimeout(timer);
    };
  }, [typed, value, onSearch]);
  return (
    <div className="relative">
      <Search
        aria-hidden
        size={18}
        className="pointer-events-none absolute top-1/2 left-3 -translate-y-1/2 text-dim"
      />
      <Input
        type="search"
        data-search
        aria-label={t.search}
        placeholder={t.searchHint}
        autoComplete="off"
        spellCheck={false}
        maxLength={100}
        className="pl-10"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value);
        }}
      />
    </div>
  );
}
