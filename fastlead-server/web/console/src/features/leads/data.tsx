import { Check, X } from 'lucide-react';
import type { ReactNode } from 'react';
import { useQuery } from '@tanstack/react-query';
import { useLook } from '@/app/look';
import { sourcesQuery } from '@/app/session';
import { named, texts, useTexts } from '@/app/text';
import { clock, day } from '@/app/time';
import { Copy } from '@/ui/copy';
import { Empty } from '@/ui/state';
import type { Lead } from './lead';
import { names } from './words';

const words = texts(
  {
    none: 'Данных нет',
    person: 'Человек',
    came: 'Откуда пришёл',
    consents: 'Согласия',
    noConsents: 'Документов не показывали.',
    record: 'Запись',
    name: 'Имя',
    phone: 'Телефон',
    extension: 'Добавочный',
    phoneNote: 'Ещё в поле телефона',
    email: 'Почта',
    comment: 'Комментарий',
    received: 'Получена',
    locale: 'Язык',
    locales: { ru: 'русский', en: 'английский' },
    source: 'Источник',
    ip: 'Адрес',
    agent: 'Программа',
    first: 'Первый визит',
    last: 'Последний визит',
    noVisit: 'Неизвестно: метки визита не пришли.',
    id: 'Номер',
    score: 'Баллы',
    granted: 'согласен',
    refused: 'не согласен',
    document: (id: string, version: string) => `документ ${id}, версия ${version}`,
    notes: 'Что поправлено при чтении',
    erased: (when: string) => `Персональные данные удалены ${when}.`,
    automated: (why: string) => `Похоже, форму заполнила программа: ${why}.`,
  },
  {
    none: 'No data',
    person: 'Person',
    came: 'Came from',
    consents: 'Consents',
    noConsents: 'No documents were shown.',
    record: 'Record',
    name: 'Name',
    phone: 'Phone',
    extension: 'Extension',
    phoneNote: 'Also in the field for the phone',
    email: 'E-mail',
    comment: 'Comment',
    received: 'Received',
    locale: 'Language',
    locales: { ru: 'Russian', en: 'English' },
    source: 'Source',
    ip: 'Address',
    agent: 'Program',
    first: 'First visit',
    last: 'Last visit',
    noVisit: 'Not known: no marks of a visit came.',
    id: 'Number',
    score: 'Score',
    granted: 'agreed',
    refused: 'not agreed',
    document: (id: string, version: string) => `document ${id}, version ${version}`,
    notes: 'Mended while it was read',
    erased: (when: string) => `The personal data were erased on ${when}.`,
    automated: (why: string) => `It looks as if a program had filled in the form: ${why}.`,
  },
);

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="grid content-start gap-2 rounded-xl border border-line bg-panel p-4">
      <h2 className="text-lg font-semibold">{title}</h2>
      {children}
    </section>
  );
}

/** Names and values; what has no value is left out. */
function Rows({ rows }: { rows: [string, string | number | null | undefined][] }) {
  return (
    <dl className="grid gap-x-4 gap-y-1 sm:grid-cols-[minmax(8rem,auto)_1fr]">
      {rows
        .filter(([, value]) => value !== undefined && value !== null && value !== '')
        .map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-dim">{name}</dt>
            <dd className="mb-1 sm:mb-0">{value}</dd>
          </div>
        ))}
    </dl>
  );
}

function flat(touch: object | null | undefined): [string, string][] {
  return Object.entries(touch ?? {}).flatMap(([name, value]: [string, unknown]) => {
    if (typeof value === 'string' || typeof value === 'number')
      return [[name, String(value)] as [string, string]];
    return typeof value === 'object' && value !== null ? flat(value) : [];
  });
}

export function LeadData({ lead, zone }: { lead: Lead | undefined; zone: string | undefined }) {
  const t = useTexts(words);
  const n = useTexts(names);
  const locale = useLook((look) => look.locale);
  const { data: sources } = useQuery(sourcesQuery);
  if (!lead) return <Empty title={t.none} />;
  const { capture, state } = lead;
  const at = (moment: string) => `${day(moment, locale, zone)} ${clock(moment, locale, zone)}`;
  const visits = (['first', 'last'] as const)
    .map((which) => ({ title: t[which], rows: flat(capture.attribution[which]) }))
    .filter(({ rows }) => rows.length > 0);
  return (
    <div className="grid gap-4 md:grid-cols-2">
      <Part title={t.person}>
        {capture.erased_at && <p className="text-warn">{t.erased(at(capture.erased_at))}</p>}
        {capture.automated && <p className="text-warn">{t.automated(JSON.stringify(capture.automated))}</p>}
        <Rows
          rows={[
            [t.name, capture.name],
            [t.phone, capture.phone],
            [t.extension, capture.phone_extension],
            [t.phoneNote, capture.phone_note],
            [t.email, capture.email],
            ...capture.handles.map((handle) => [handle.messenger, handle.id] as [string, string]),
            [t.comment, capture.comment],
            ...Object.entries(capture.fields),
          ]}
        />
      </Part>
      <Part title={t.consents}>
        {capture.consents.length === 0 && <p className="text-dim">{t.noConsents}</p>}
        <ul className="grid gap-3">
          {capture.consents.map((consent) => (
            <li key={`${consent.purpose}${consent.at}`} className="grid grid-cols-[auto_1fr] gap-x-2">
              {consent.granted ? (
                <Check aria-hidden size={18} className="mt-0.5 text-good" />
              ) : (
                <X aria-hidden size={18} className="mt-0.5 text-bad" />
              )}
              <span>
                <span className="font-medium">{named(n.consent, consent.purpose)}</span>:{' '}
                {consent.granted ? t.granted : t.refused}
              </span>
              <span className="col-start-2 text-sm text-dim">
                {t.document(consent.document_id, consent.document_version)}, {at(consent.at)}
              </span>
            </li>
          ))}
        </ul>
      </Part>
      <Part title={t.came}>
        {visits.length === 0 && <p className="text-dim">{t.noVisit}</p>}
        {visits.map(({ title, rows }) => (
          <div key={title} className="grid gap-1">
            <h3 className="text-sm font-semibold">{title}</h3>
            <Rows rows={rows} />
          </div>
        ))}
      </Part>
      <Part title={t.record}>
        <Rows
          rows={[
            [t.received, at(capture.received_at)],
            [t.source, sources?.items.find((source) => source.id === lead.source_id)?.name],
            [t.locale, named(t.locales, capture.locale)],
            [t.score, state.score],
            [t.ip, capture.ip],
            [t.agent, capture.user_agent],
          ]}
        />
        <p className="flex flex-wrap items-center gap-2 text-dim">
          {t.id} <code className="font-mono text-sm">{lead.id}</code>
          <Copy text={lead.id} what={t.id} />
        </p>
        {capture.notes.length > 0 && (
          <details>
            <summary className="tap flex items-center text-dim">{t.notes}</summary>
            <ul className="list-disc pl-5 text-sm">
              {capture.notes.map((note, index) => (
                <li key={index}>{JSON.stringify(note)}</li>
              ))}
            </ul>
          </details>
        )}
      </Part>
    </div>
  );
}
