import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useRef, useState } from 'react';
import { Refusal, ask, client } from '@/api/client';
import type { Schema } from '@/api/client';
import { useLeaveGuard } from '@/app/leave';
import { isAdmin, meQuery, projectsQuery } from '@/app/session';
import { texts, useTexts } from '@/app/text';
import { Button } from '@/ui/button';
import { Sentence } from '@/ui/code';
import { Field, inputLooks } from '@/ui/field';
import { Fault } from '@/ui/state';
import { rangeOfLine, readPolicy, writePolicy } from './document';
import type { LocatedFault } from './document';
import { Publish } from './publish';

const words = texts(
  {
    text: 'Текст политики (YAML)',
    comments: 'Текст хранится как документ: пояснения после # не сохраняются.',
    check: 'Проверить',
    checking: 'Проверяем…',
    save: 'Сохранить черновик',
    saving: 'Сохраняем…',
    publish: 'Опубликовать…',
    saved: 'Черновик сохранён.',
    fine: 'Ошибок нет.',
    empty: 'Здесь должен быть документ с разделами, такими как targets и route.',
    faults: 'Ошибки',
    warnings: 'Замечания',
    line: (line: number) => `строка ${line}`,
    isDraft: 'Это черновик: он ещё ничего не решает.',
    moved: (version: number) =>
      `Пока вы правили, опубликована версия ${version}. Сравните её со своей во вкладке «Версии» и откройте страницу заново.`,
    reader: 'Менять политику может администратор.',
    discard: 'Выбросить черновик',
  },
  {
    text: 'Text of the policy (YAML)',
    comments: 'The text is kept as a document: remarks after # are not.',
    check: 'Check',
    checking: 'Checking…',
    save: 'Save the draft',
    saving: 'Saving…',
    publish: 'Publish…',
    saved: 'The draft is saved.',
    fine: 'No faults.',
    empty: 'There should be a document with parts such as targets and route.',
    faults: 'Faults',
    warnings: 'Warnings',
    line: (line: number) => `line ${line}`,
    isDraft: 'This is a draft: it decides nothing yet.',
    moved: (version: number) =>
      `Version ${version} was published while you were writing. Compare it with yours under “Versions” and open the page anew.`,
    reader: 'Changing the policy is for administrators.',
    discard: 'Throw the draft away',
  },
);

interface EditorProps {
  project: string;
  policy: Schema['PolicyVersion'] | null;
  draft: Schema['PolicyDraft'] | null;
}

type Body = Schema['Policy'];

/** The text of the policy, with what the server finds wrong beside it. */
export function Editor({ project, policy, draft }: EditorProps) {
  const t = useTexts(words);
  const cache = useQueryClient();
  const { data: me } = useQuery(meQuery);
  const params = { path: { id: project } };
  const [text, setText] = useState(() => writePolicy(draft?.document ?? policy?.policy ?? {}));
  const [isChanged, setChanged] = useState(false);
  const [isPublishing, setPublishing] = useState(false);
  const box = useRef<HTMLTextAreaElement>(null);
  const read = readPolicy(text);
  useLeaveGuard(isChanged);

  const check = useMutation({
    mutationFn: (body: Body) => ask(client.POST('/v1/projects/{id}/policy/validate', { params, body })),
  });
  const save = useMutation({
    mutationFn: async (body: Body) => {
      // Nobody's version is written over unseen.
      const now = await ask(client.GET('/v1/projects', {}));
      const current = now.items.find((one) => one.id === project)?.policy_version ?? undefined;
      if (current !== policy?.version) throw new Moved(current ?? 0);
      return ask(client.PUT('/v1/projects/{id}/policy/draft', { params, body }));
    },
    onSuccess: async () => {
      setChanged(false);
      await cache.invalidateQueries({ queryKey: ['draft', project] });
    },
  });
  const discard = useMutation({
    mutationFn: () => ask(client.DELETE('/v1/projects/{id}/policy/draft', { params })),
    onSuccess: async () => {
      setText(writePolicy(policy?.policy ?? {}));
      setChanged(false);
      save.reset();
      check.reset();
      await cache.invalidateQueries({ queryKey: ['draft', project] });
    },
  });

  const located = (faults: Schema['PolicyFault'][]): LocatedFault[] =>
    faults.map((fault) => ({ ...fault, line: read.lineOf(fault.path) }));
  const found = check.data;
  const faults = read.policy ? located(found?.errors ?? []) : read.faults;
  const isBusy = check.isPending || save.isPending || discard.isPending;
  const withPolicy = (act: (body: Body) => void) => {
    if (read.policy) act(read.policy as Body);
  };
  const goTo = (line: number) => {
    const [start, end] = rangeOfLine(text, line);
    box.current?.focus();
    box.current?.setSelectionRange(start, end);
    // The box is as high as its lines, of which each has the same height.
    if (box.current)
      box.current.scrollTop = (box.current.scrollHeight * (line - 3)) / text.split('\n').length;
  };
  const error = save.error instanceof Moved ? undefined : (save.error ?? check.error ?? discard.error);

  return (
    <div className="grid gap-3">
      {draft && <p className="text-warn">{t.isDraft}</p>}
      <div className="grid gap-4 lg:grid-cols-[3fr_2fr]">
        <div className="grid content-start gap-2">
          <Field label={t.text}>
            {(props) => (
              <textarea
                {...props}
                ref={box}
                spellCheck={false}
                autoCapitalize="none"
                autoComplete="off"
                rows={24}
                readOnly={!isAdmin(me)}
                aria-invalid={faults.length > 0}
                className={`${inputLooks} font-mono text-sm whitespace-pre`}
                value={text}
                onChange={(event) => {
                  setText(event.target.value);
                  setChanged(true);
                  check.reset();
                  save.reset();
                }}
              />
            )}
          </Field>
          <p className="text-sm text-dim">{isAdmin(me) ? t.comments : t.reader}</p>
        </div>
        <div className="grid content-start gap-3">
          <div className="flex flex-wrap gap-2">
            <Button
              disabled={isBusy}
              onClick={() => {
                withPolicy((body) => {
                  check.mutate(body);
                });
              }}
            >
              {check.isPending ? t.checking : t.check}
            </Button>
            {isAdmin(me) && (
              <>
                <Button
                  disabled={isBusy || !isChanged}
                  onClick={() => {
                    withPolicy((body) => {
                      save.mutate(body);
                    });
                  }}
                >
                  {save.isPending ? t.saving : t.save}
                </Button>
                <Button
                  look="main"
                  disabled={isBusy || !read.policy}
                  onClick={() => {
                    withPolicy((body) => {
                      check.mutate(body, {
                        onSuccess: (answer) => {
                          if (!answer.valid) return;
                          save.mutate(body, {
                            onSuccess: () => {
                              setPublishing(true);
                            },
                          });
                        },
                      });
                    });
                  }}
                >
                  {t.publish}
                </Button>
                {draft && (
                  <Button
                    look="quiet"
                    disabled={isBusy}
                    onClick={() => {
                      discard.mutate();
                    }}
                  >
                    {t.discard}
                  </Button>
                )}
              </>
            )}
          </div>
          {error && <Fault error={error} />}
          {save.error instanceof Moved && (
            <p role="alert" className="rounded-lg bg-bad-soft px-4 py-2 text-bad">
              {t.moved(save.error.version)}
            </p>
          )}
          <p role="status" className="text-good empty:hidden">
            {save.isSuccess ? t.saved : found?.valid ? t.fine : ''}
          </p>
          {!read.policy && read.faults.length === 0 && <p className="text-bad">{t.empty}</p>}
          <FaultList title={t.faults} tone="text-bad" faults={faults} onGo={goTo} />
          <FaultList
            title={t.warnings}
            tone="text-warn"
            faults={read.policy ? located(found?.warnings ?? []) : []}
            onGo={goTo}
          />
        </div>
      </div>
      {isPublishing && (
        <Publish
          project={project}
          onClose={() => {
            setPublishing(false);
          }}
          onPublished={async () => {
            setPublishing(false);
            setChanged(false);
            await Promise.all(
              [['draft', project], ['policy', project], ['versions', project], projectsQuery.queryKey].map(
                (queryKey) => cache.invalidateQueries({ queryKey }),
              ),
            );
          }}
        />
      )}
    </div>
  );
}

/** Somebody else has published meanwhile. */
class Moved extends Refusal {
  readonly version: number;

  constructor(version: number) {
    super(409, undefined);
    this.version = version;
  }
}

interface FaultListProps {
  title: string;
  tone: string;
  faults: LocatedFault[];
  onGo: (line: number) => void;
}

function FaultList({ title, tone, faults, onGo }: FaultListProps) {
  const t = useTexts(words);
  if (faults.length === 0) return null;
  return (
    <section aria-label={title} className="grid gap-1">
      <h2 className={`font-semibold ${tone}`}>{title}</h2>
      <ul className="grid gap-2">
        {faults.map((fault, index) => (
          <li key={index} className="rounded-lg border border-line bg-panel p-2">
            <Button
              look="quiet"
              className="underline"
              onClick={() => {
                onGo(fault.line);
              }}
            >
              {t.line(fault.line)}
            </Button>
            {fault.path && <code className="font-mono text-sm">{fault.path}</code>}
            <p className="px-3 pb-1">
              <Sentence text={fault.message} />
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}
