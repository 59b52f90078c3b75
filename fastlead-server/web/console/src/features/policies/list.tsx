import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useDocumentTitle } from '@/app/heading';
import { projectsQuery } from '@/app/session';
import { texts, useTexts } from '@/app/text';
import { Empty, Fault, Loading } from '@/ui/state';

const words = texts(
  {
    title: 'Политики',
    about:
      'Политика проекта решает, кому достаётся заявка, кто и когда о ней узнаёт и что будет, если никто не ответит.',
    empty: 'Проектов пока нет',
    emptyHow: 'Политика принадлежит проекту. Проект заводит администратор.',
    version: (version: number) => `версия ${version}`,
    none: 'не опубликована: заявки не принимаются',
  },
  {
    title: 'Policies',
    about:
      'The policy of a project decides who gets a lead, who hears of it when, and what comes if nobody answers.',
    empty: 'No projects yet',
    emptyHow: 'A policy belongs to a project, which an administrator makes.',
    version: (version: number) => `version ${version}`,
    none: 'not published: no leads are taken',
  },
);

export function PoliciesPage() {
  const t = useTexts(words);
  useDocumentTitle(t.title);
  const found = useQuery(projectsQuery);
  const projects = found.data?.items ?? [];
  return (
    <div className="grid gap-4">
      <h1 className="text-2xl font-semibold">{t.title}</h1>
      <p className="max-w-prose text-dim">{t.about}</p>
      {found.isPending && <Loading rows={3} />}
      {found.isError && (
        <Fault error={found.error} shownBefore={projects.length > 0} onAgain={() => void found.refetch()} />
      )}
      {found.isSuccess && projects.length === 0 && (
        <Empty title={t.empty}>
          <p>{t.emptyHow}</p>
        </Empty>
      )}
      <ul className="grid gap-2">
        {projects.map((project) => (
          <li
            key={project.id}
            className="relative flex flex-wrap items-center gap-x-4 gap-y-1 rounded-xl border border-line bg-panel p-4 hover:bg-sunk"
          >
            <Link
              to="/policies/$project"
              params={{ project: project.id }}
              search={{}}
              data-row
              className="tap inline-flex items-center font-medium after:absolute after:inset-0"
            >
              {project.name}
            </Link>
            <span className={project.policy_version ? 'text-dim' : 'text-warn'}>
              {project.policy_version ? t.version(project.policy_version) : t.none}
            </span>
            {project.zone && <span className="text-dim">{project.zone}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}
