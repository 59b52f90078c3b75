import { useMutation, useQuery } from '@tanstack/react-query';
import { Refusal, ask, client } from '@/api/client';
import { texts, useTexts } from '@/app/text';
import { Button } from '@/ui/button';
import { Dialog } from '@/ui/dialog';
import { Fault, Loading } from '@/ui/state';
import { Changes } from './changes';

const words = texts(
  {
    title: 'Опубликовать политику?',
    about: 'Новые заявки пойдут по ней сразу. Прежние остаются при своих версиях.',
    first: 'Это первая версия: с ней проект начнёт принимать заявки.',
    publish: 'Опубликовать',
    publishing: 'Публикуем…',
    cancel: 'Отмена',
    moved: 'Тем временем опубликована другая версия. Закройте это окно и сравните её со своей.',
  },
  {
    title: 'Publish the policy?',
    about: 'New leads follow it at once. Older ones keep their versions.',
    first: 'This is the first version: with it the project begins to take leads.',
    publish: 'Publish',
    publishing: 'Publishing…',
    cancel: 'Cancel',
    moved: 'Another version was published meanwhile. Close this window and compare it with yours.',
  },
);

interface PublishProps {
  project: string;
  onClose: () => void;
  onPublished: () => Promise<void>;
}

/** Nothing is published without its differences on screen. */
export function Publish({ project, onClose, onPublished }: PublishProps) {
  const t = useTexts(words);
  const params = { path: { id: project } };
  const found = useQuery({
    queryKey: ['diff', project, 'current', 'draft'],
    gcTime: 0,
    queryFn: async ({ signal }) => {
      try {
        return await ask(client.GET('/v1/projects/{id}/policy/diff', { signal, params }));
      } catch (error) {
        // There is nothing to compare the first version with.
        if (error instanceof Refusal && error.status === 404) return null;
        throw error;
      }
    },
  });
  const publish = useMutation({
    mutationFn: () => ask(client.POST('/v1/projects/{id}/policy/draft/publish', { params })),
    onSuccess: onPublished,
  });
  const isMoved = publish.error instanceof Refusal && publish.error.code === 'policy_moved';
  return (
    <Dialog open onClose={onClose} title={t.title} description={t.about}>
      {found.isPending && <Loading rows={3} />}
      {found.isError && <Fault error={found.error} onAgain={() => void found.refetch()} />}
      {found.data && <Changes changes={found.data.changes} />}
      {found.data === null && <p>{t.first}</p>}
      {publish.isError && !isMoved && <Fault error={publish.error} />}
      {isMoved && (
        <p role="alert" className="rounded-lg bg-bad-soft px-4 py-2 text-bad">
          {t.moved}
        </p>
      )}
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onClose}>{t.cancel}</Button>
        <Button
          look="main"
          disabled={!found.isSuccess || publish.isPending || found.data?.changes.length === 0}
          onClick={() => {
            publish.mutate();
          }}
        >
          {publish.isPending ? t.publishing : t.publish}
        </Button>
      </div>
    </Dialog>
  );
}
