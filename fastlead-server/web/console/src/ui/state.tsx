// What stands in place of data: nothing yet, nothing at all, or a fault.
import { RefreshCw, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import { Refusal } from '@/api/client';
import { named, texts, useTexts } from '@/app/text';
import { Button } from './button';

const words = texts(
  {
    loading: 'Загрузка…',
    again: 'Попробовать снова',
    old: 'Ниже — то, что было прочитано раньше.',
    reasons: {
      unreachable: 'Сервер не отвечает. Проверьте соединение.',
      forbidden: 'Недостаточно прав. Обратитесь к администратору.',
      not_found: 'Такой записи нет или она удалена.',
      rate_limited: 'Слишком много запросов. Подождите немного.',
      overloaded: 'Сервер перегружен. Попробуйте через минуту.',
      storage: 'Хранилище не отвечает. Попробуйте через минуту.',
      internal: 'На сервере что-то пошло не так; подробности в его журнале.',
    },
    other: (code: string) => `Не получилось (${code}).`,
  },
  {
    loading: 'Loading…',
    again: 'Try again',
    old: 'Below is what was read before.',
    reasons: {
      unreachable: 'The server does not answer. Check your connection.',
      forbidden: 'You have no right to this. Ask an administrator.',
      not_found: 'There is no such record, or it was deleted.',
      rate_limited: 'Too many requests. Wait a little.',
      overloaded: 'The server is overloaded. Try again in a minute.',
      storage: 'The storage does not answer. Try again in a minute.',
      internal: 'Something went wrong on the server; its log says what.',
    },
    other: (code: string) => `That did not work (${code}).`,
  },
);

/** A refusal in the language of the page: by its code where that is known, else as the server says it. */
export function useReason(): (error: unknown) => string {
  const t = useTexts(words);
  return (error) => {
    if (!(error instanceof Refusal)) return t.other(error instanceof Error ? error.name : 'error');
    const known = named(t.reasons, error.code);
    return known === error.code ? (error.problem?.detail ?? t.other(error.code)) : known;
  };
}

export function Loading({ rows = 6 }: { rows?: number }) {
  const t = useTexts(words);
  return (
    <div role="status" className="late grid gap-2">
      <span className="sr-only">{t.loading}</span>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="h-11 animate-pulse rounded-lg bg-sunk" />
      ))}
    </div>
  );
}

export function Fault({
  error,
  onAgain,
  shownBefore = false,
}: {
  error: unknown;
  onAgain?: () => void;
  shownBefore?: boolean;
}) {
  const t = useTexts(words);
  const reason = useReason();
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 rounded-lg bg-bad-soft px-4 py-3 text-bad">
      <TriangleAlert aria-hidden size={18} className="shrink-0" />
      <p className="min-w-0 flex-1">
        {reason(error)} {shownBefore && t.old}
      </p>
      {onAgain && (
        <Button onClick={onAgain}>
          <RefreshCw aria-hidden size={16} />
          {t.again}
        </Button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="grid justify-items-center gap-2 rounded-2xl border border-dashed border-edge px-6 py-12 text-center">
      <p className="text-lg font-semibold">{title}</p>
      <div className="max-w-prose text-dim">{children}</div>
    </div>
  );
}
