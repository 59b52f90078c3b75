import type { Schema } from '@/api/client';
import { countEn, countRu, texts, useTexts } from '@/app/text';
import { writePolicy } from './document';

const words = texts(
  {
    none: 'Различий нет.',
    count: (count: number) => countRu(count, 'различие', 'различия', 'различий'),
    was: 'было',
    is: 'стало',
    nothing: 'ничего',
  },
  {
    none: 'No differences.',
    count: (count: number) => countEn(count, 'difference', 'differences'),
    was: 'was',
    is: 'becomes',
    nothing: 'nothing',
  },
);

function said(value: unknown, nothing: string): string {
  return value === undefined || value === null ? nothing : writePolicy(value).trimEnd();
}

/** What two policies differ in, place by place. */
export function Changes({ changes }: { changes: Schema['PolicyChange'][] }) {
  const t = useTexts(words);
  if (changes.length === 0) return <p>{t.none}</p>;
  return (
    <div className="grid gap-2">
      <p className="font-medium">{t.count(changes.length)}</p>
      <ul className="grid gap-2">
        {changes.map((change) => (
          <li key={change.path} className="grid gap-1 rounded-lg border border-line p-2">
            <code className="font-mono text-sm font-semibold">{change.path}</code>
            <p className="text-sm text-bad">
              − {t.was}: <code className="font-mono whitespace-pre-wrap">{said(change.old, t.nothing)}</code>
            </p>
            <p className="text-sm text-good">
              + {t.is}: <code className="font-mono whitespace-pre-wrap">{said(change.new, t.nothing)}</code>
            </p>
          </li>
        ))}
      </ul>
    </div>
  );
}
