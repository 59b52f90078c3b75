import { queryOptions, useQuery } from '@tanstack/react-query';
import { Link, getRouteApi, useNavigate } from '@tanstack/react-router';
import { ArrowLeft } from 'lucide-react';
import { Refusal, ask, client } from '@/api/client';
import { useDocumentTitle } from '@/app/heading';
import { projectsQuery } from '@/app/session';
import { texts, useTexts } from '@/app/text';
import { Empty, Fault, Loading } from '@/ui/state';
import { Tabs } from '@/ui/tabs';
import { Editor } from './editor';
import { Versions } from './versions';

const words = texts(
  {
    back: 'Политики',
    title: (name: string) => `Политика: ${name}`,
    gone: 'Такого проекта нет',
    parts: 'Части политики',
    text: 'Текст',
    versions: 'Версии',
    version: (version: number) => `действует версия ${version}`,
    none: 'ещё не опубликована: заявки не принимаются',
  },
  {
    back: 'Policies',
    title: (name: string) => `Policy: ${name}`,
    gone: 'There is no such project',
    parts: 'Parts of the policy',
    text: 'Text',
    versions: 'Versions',
    version: (version: number) => `version ${version} is in force`,
    none: 'not published yet: no leads are taken',
  },
);

const route = getRouteApi('/inside/policies/$project');

/** The answer, or nothing where there is none yet. */
async function orNothing<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return null;
    throw error;
  }
}

export function policyQuery(project: string) {
  return queryOptions({
    queryKey: ['policy', project],
    queryFn: ({ signal }) =>
      orNothing(ask(client.GET('/v1/projects/{id}/policy', { signal, params: { path: { id: project } } }))),
  });
}

export function draftQuery(project: string) {
  return queryOptions({
    queryKey: ['draft', project],
    queryFn: ({ signal }) =>
      orNothing(
        ask(client.GET('/v1/projects/{id}/policy/draft', { signal, params: { path: { id: project } } })),
      ),
  });
}

export function PolicyPage() {
  const t = useTexts(words);
  const { project: id } = route.useParams();
  const { tab } = route.useSearch();
  const navigate = useNavigate();
  const { data: projects } = useQuery(projectsQuery);
  const project = projects?.items.find((one) => one.id === id);
  const policy = useQuery({ ...policyQuery(id), staleTime: Infinity });
  const draft = useQuery({ ...draftQuery(id), staleTime: Infinity });
  useDocumentTitle(t.title(project?.name ?? ''));
  const error = policy.error ?? draft.error;
  return (
    <div className="grid gap-4">
      <Link
        to="/policies"
        className="tap inline-flex items-center gap-1 justify-self-start text-accent underline"
      >
        <ArrowLeft aria-hidden size={16} />
        {t.back}
      </Link>
      {projects && !project && <Empty title={t.gone} />}
      {error && (
        <Fault
          error={error}
          onAgain={() => {
            void policy.refetch();
            void draft.refetch();
          }}
        />
      )}
      {project && (
        <>
          <header>
            <h1 className="text-2xl font-semibold">{t.title(project.name)}</h1>
            <p className={policy.data ? 'text-dim' : 'text-warn'}>
              {policy.data ? t.version(policy.data.version) : policy.isSuccess && t.none}
            </p>
          </header>
          {(policy.isPending || draft.isPending) && <Loading />}
          {policy.isSuccess && draft.isSuccess && (
            <Tabs
              label={t.parts}
              open={tab === 'versions' ? 'versions' : 'text'}
              onOpen={(key) => {
                void navigate({
                  to: '/policies/$project',
                  params: { project: id },
                  search: key === 'text' ? {} : { tab: key },
                  replace: true,
                });
              }}
              tabs={[
                {
                  key: 'text',
                  label: t.text,
                  body: (
                    <Editor
                      key={policy.data?.version ?? 0}
                      project={id}
                      policy={policy.data}
                      draft={draft.data}
                    />
                  ),
                },
                {
                  key: 'versions',
                  label: t.versions,
                  body: <Versions project={id} zone={project.zone ?? undefined} />,
                },
              ]}
            />
          )}
        </>
      )}
    </div>
  );
}
