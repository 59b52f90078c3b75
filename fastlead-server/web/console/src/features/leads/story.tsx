import { ChevronRight } from 'lucide-react';
import { useLook } from '@/app/look';
import { texts, useTexts } from '@/app/text';
import { clock, day } from '@/app/time';
import { Sentence } from '@/ui/code';
import { Empty } from '@/ui/state';
import type { Explanation } from './lead';

const words = texts(
  {
    none: 'История пуста',
    policy: (version: number) => `политика, версия ${version}`,
    rules: (count: number) => `Все правила по шагам (${count})`,
  },
  {
    none: 'The story is empty',
    policy: (version: number) => `policy, version ${version}`,
    rules: (count: number) => `Every rule, step by step (${count})`,
  },
);

/** What happened to the lead and why, oldest first, in the language of the page. */
export function Story({ explanation, zone }: { explanation: Explanation; zone: string | undefined }) {
  const t = useTexts(words);
  const locale = useLook((look) => look.locale);
  const { history } = explanation;
  if (history.length === 0) return <Empty title={t.none} />;
  return (
    <ol className="grid gap-3">
      {history.map((event, index) => {
        const [head, ...more] = event.sentences;
        const on = day(event.at, locale, zone);
        const isNewDay = index === 0 || on !== day(history[index - 1]?.at ?? event.at, locale, zone);
        return (
          <li key={event.id} className="grid gap-2">
            {isNewDay && <p className="text-sm font-semibold text-dim">{on}</p>}
            <div className="grid gap-2 rounded-xl border border-line bg-panel p-4">
              <p className="flex flex-wrap items-baseline gap-x-3">
                <time dateTime={event.at} title={event.at} className="text-sm text-dim tabular-nums">
                  {clock(event.at, locale, zone)}
                </time>
                <span className="font-medium">
                  <Sentence text={head ?? event.kind} />
                </span>
              </p>
              {more.length > 0 && (
                <ul className="grid list-disc gap-1 pl-5">
                  {more.map((sentence, at) => (
                    <li key={at}>
                      <Sentence text={sentence} />
                    </li>
                  ))}
                </ul>
              )}
              {event.trace.steps.length > 0 && <Rules event={event} />}
            </div>
          </li>
        );
      })}
    </ol>
  );
}

function Rules({ event }: { event: Explanation['history'][number] }) {
  const t = useTexts(words);
  const { steps, policy } = event.trace;
  return (
    <details className="group">
      <summary className="tap flex list-none items-center gap-1 text-sm text-dim">
        <ChevronRight aria-hidden size={16} className="group-open:rotate-90" />
        {t.rules(steps.length)} · {t.policy(policy.version)}
      </summary>
      <ol className="mt-2 grid text-sm">
        {steps.map((step, index) => (
          <li key={index} className="flex flex-wrap items-baseline gap-x-3 border-t border-line py-1">
            <code className="font-mono">{step.rule}</code>
            <span>{step.subject ?? step.candidates?.join(', ')}</span>
            <span className="font-medium">{step.verdict}</span>
            {step.reason && <code className="font-mono text-dim">{step.reason}</code>}
          </li>
        ))}
      </ol>
    </details>
  );
}
