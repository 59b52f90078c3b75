import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { ask, client } from '@/api/client';
import { useLook } from '@/app/look';
import { isAdmin, meQuery, projectsQuery } from '@/app/session';
import { texts, useTexts } from '@/app/text';
import { clock, day } from '@/app/time';
import { Button } from '@/ui/button';
import { Dialog } from '@/ui/dialog';
import { Empty, Fault, Loading } from '@/ui/state';
import { Changes } from './changes';

const words = texts(
  {
    none: 'Версий пока нет',
    version: (version: number) => `Версия ${version}`,
    current: 'действует',
    compare: 'Сравнить с действующей',
    back: 'Вернуть эту версию…',
    compareTitle: (version: number) => `Что изменится с версией ${version}`,
    about: 'Различия от действующей версии к этой.',
    restore: 'Опубликовать её снова',
    close: 'Закрыть',
  },
  {
    none: 'No versions yet',
    version: (version: number) => `Version ${version}`,
    current: 'in force',
    compare: 'Compare with the one in force',
    back: 'Bring it back…',
    compareTitle: (version: number) => `What changes with version ${version}`,
    about: 'The differences from the version in force to this one.',
    restore: 'Publish it again',
    close: 'Close',
  },
);

/** What was published, newest first; an older version can come back as a new one. */
export function Versions({ project, zone }: { project: string; zone: string | undefined }) {
  const t = useTexts(words);
  const locale = useLook((look) => look.locale);
  const { data: me } = useQuery(meQuery);
  const [shown, setShown] = useState<{ version: number; restore: boolean }>();
  const found = useQuery({
    queryKey: ['versions', project],
    queryFn: ({ signal }) =>
      ask(
        client.GET('/v1/projects/{id}/policies', {
          signal,
          params: { path: { id: project }, query: { limit: 50 } },
        }),
      ),
  });
  const versions = found.data?.items ?? [];
  if (found.isPending) return <Loading rows={3} />;
  if (found.isError) return <Fault error={found.error} onAgain={() => void found.refetch()} />;
  if (versions.length === 0) return <Empty title={t.none} />;
  return (
    <>
      <ul className="grid gap-2">
        {versions.map((one, index) => (
          <li
            key={one.version}
            className="flex flex-wrap items-center gap-x-4 gap-y-2 rounded-xl border border-line bg-panel p-3"
          >
            <span className="font-medium">{t.version(one.version)}</span>
            {index === 0 && <span className="text-good">{t.current}</span>}
            <time
              dateTime={one.published_at}
              title={one.published_at}
              className="text-sm text-dim tabular-nums"
            >
              {day(one.published_at, locale, zone)} {clock(one.published_at, locale, zone)}
            </time>
            {index > 0 && (
              <span className="ml-auto flex flex-wrap gap-2">
                <Button
                  onClick={() => {
                    setShown({ version: one.version, restore: false });
                  }}
                >
                  {t.compare}
                </Button>
                {isAdmin(me) && (
                  <Button
                    onClick={() => {
                      setShown({ version: one.version, restore: true });
                    }}
                  >
                    {t.back}
                  </Button>
                )}
              </span>
            )}
          </li>
        ))}
      </ul>
      {shown && (
        <Compare
          project={project}
          {...shown}
          onClose={() => {
            setShown(undefined);
          }}
        />
      )}
    </>
  );
}

interface CompareProps {
  project: string;
  version: number;
  restore: boolean;
  onClose: () => void;
}

function Compare({ project, version, restore, onClose }: CompareProps) {
  const t = useTexts(words);
  const cache = useQueryClient();
  const params = { path: { id: project } };
  const found = useQuery({
    queryKey: ['diff', project, 'current', version],
    gcTime: 0,
    queryFn: ({ signal }) =>
      ask(
        client.GET('/v1/projects/{id}/policy/diff', {
          signal,
          params: { ...params, query: { from: 'current', to: String(version) } },
        }),
      ),
  });
  const back = useMutation({
    mutationFn: () => ask(client.POST('/v1/projects/{id}/policy/rollback', { params, body: { version } })),
    onSuccess: async () => {
      onClose();
      await Promise.all(
        [['policy', project], ['versions', project], projectsQuery.queryKey].map((queryKey) =>
          cache.invalidateQueries({ queryKey }),
        ),
      );
    },
  });
  return (
    <Dialog open onClose={onClose} title={t.compareTitle(version)} description={t.about}>
      {found.isPending && <Loading rows={3} />}
      {found.isError && <Fault error={found.error} onAgain={() => void found.refetch()} />}
      {found.data && <Changes changes={found.data.changes} />}
      {back.isError && <Fault error={back.error} />}
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onClose}>{t.close}</Button>
        {restore && (
          <Button
            look="main"
            disabled={!found.isSuccess || back.isPending}
            onClick={() => {
              back.mutate();
            }}
          >
            {t.restore}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
