import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Check, PackageCheck, ShieldX, ThumbsDown, Trash2, Undo2 } from 'lucide-react';
import { useState } from 'react';
import { ask, client } from '@/api/client';
import { isAdmin, meQuery } from '@/app/session';
import { texts, useTexts } from '@/app/text';
import { Button } from '@/ui/button';
import { Confirm } from '@/ui/confirm';
import { Dialog } from '@/ui/dialog';
import { Field, Select } from '@/ui/field';
import { Fault } from '@/ui/state';
import type { Lead } from './lead';

const words = texts(
  {
    actions: 'Действия',
    accept: (who: string) => `Принять за ${who}`,
    decline: (who: string) => `Отказаться за ${who}`,
    approve: 'Пропустить',
    refuse: 'Не пропускать',
    confirm: 'Подтвердить за посетителя',
    close: 'Закрыть заявку',
    closeSure: 'Закрыть заявку?',
    closeText: 'Работа над ней закончена; у исполнителя освободится место.',
    giveBack: 'Вернуть…',
    giveBackTitle: 'Вернуть заявку',
    who: 'Кто возвращает',
    why: 'Причина',
    erase: 'Удалить данные…',
    eraseSure: 'Удалить персональные данные?',
    eraseText:
      'Имя, контакты и переписка этого человека исчезнут из всех его заявок. Решения и согласия останутся. Отменить это нельзя.',
    eraseDo: 'Удалить навсегда',
    done: {
      accept: 'Принята.',
      decline: 'Отказ записан.',
      review: 'Проверена.',
      confirm: 'Подтверждена.',
      close: 'Закрыта.',
      giveBack: 'Возвращена.',
      erase: 'Данные удалены.',
    },
  },
  {
    actions: 'Actions',
    accept: (who: string) => `Accept for ${who}`,
    decline: (who: string) => `Decline for ${who}`,
    approve: 'Let it through',
    refuse: 'Do not let it through',
    confirm: 'Confirm for the visitor',
    close: 'Close the lead',
    closeSure: 'Close the lead?',
    closeText: 'The work on it is done; whoever has it has room for another.',
    giveBack: 'Give back…',
    giveBackTitle: 'Give the lead back',
    who: 'Who gives it back',
    why: 'Reason',
    erase: 'Erase the data…',
    eraseSure: 'Erase the personal data?',
    eraseText:
      'Name, contacts and messages of this person vanish from all of their leads. Decisions and consents stay. It cannot be undone.',
    eraseDo: 'Erase for good',
    done: {
      accept: 'Accepted.',
      decline: 'The refusal is noted.',
      review: 'Reviewed.',
      confirm: 'Confirmed.',
      close: 'Closed.',
      giveBack: 'Given back.',
      erase: 'The data are erased.',
    },
  },
);

type Deed =
  | { kind: 'accept' | 'decline'; target: string }
  | { kind: 'review'; approved: boolean }
  | { kind: 'confirm' | 'close' | 'erase' }
  | { kind: 'giveBack'; target: string; reason: string };

async function act(id: string, deed: Deed): Promise<void> {
  const params = { path: { id } };
  switch (deed.kind) {
    case 'accept':
    case 'decline':
      await ask(
        client.POST('/v1/leads/{id}/respond', { params, body: { target: deed.target, response: deed.kind } }),
      );
      return;
    case 'review':
      await ask(client.POST('/v1/leads/{id}/review', { params, body: { approved: deed.approved } }));
      return;
    case 'confirm':
      await ask(client.POST('/v1/leads/{id}/confirm', { params }));
      return;
    case 'close':
      await ask(client.POST('/v1/leads/{id}/close', { params }));
      return;
    case 'giveBack':
      await ask(
        client.POST('/v1/leads/{id}/return', { params, body: { target: deed.target, reason: deed.reason } }),
      );
      return;
    case 'erase':
      await ask(client.DELETE('/v1/leads/{id}/person', { params }));
  }
}

/** What can be done with a lead, as far as it stands so. The server has the last word, and its reason is shown. */
export function Actions({ lead }: { lead: Lead }) {
  const t = useTexts(words);
  const cache = useQueryClient();
  const { data: me } = useQuery(meQuery);
  const [asked, setAsked] = useState<'close' | 'giveBack' | 'erase'>();
  const { state, capture } = lead;
  const doing = useMutation({
    mutationFn: (deed: Deed) => act(lead.id, deed),
    onSuccess: () => {
      setAsked(undefined);
    },
    onSettled: async () => {
      await Promise.all([
        cache.invalidateQueries({ queryKey: ['lead', lead.id] }),
        cache.invalidateQueries({ queryKey: ['leads'] }),
      ]);
    },
  });
  const open = (what: typeof asked) => {
    doing.reset();
    setAsked(what);
  };
  const close = () => {
    setAsked(undefined);
  };
  const isOver = ['closed', 'rejected'].includes(state.status);
  const offers = isOver ? [] : state.offers.filter((offer) => !offer.declined && !offer.lapsed);
  const waiting = state.assigned_to ? [] : [...new Set(offers.map((offer) => offer.target))];
  const holders = state.sales.filter((sale) => !sale.returned).map((sale) => sale.target);
  const { done } = t;
  return (
    <div role="group" aria-label={t.actions} className="grid gap-2">
      <div className="flex flex-wrap gap-2">
        {waiting.map((target) => (
          <Button
            key={target}
            look="main"
            disabled={doing.isPending}
            onClick={() => {
              doing.mutate({ kind: 'accept', target });
            }}
          >
            <Check aria-hidden size={16} />
            {t.accept(target)}
          </Button>
        ))}
        {waiting.map((target) => (
          <Button
            key={target}
            disabled={doing.isPending}
            onClick={() => {
              doing.mutate({ kind: 'decline', target });
            }}
          >
            <ThumbsDown aria-hidden size={16} />
            {t.decline(target)}
          </Button>
        ))}
        {state.status === 'review' && (
          <>
            <Button
              look="main"
              disabled={doing.isPending}
              onClick={() => {
                doing.mutate({ kind: 'review', approved: true });
              }}
            >
              <Check aria-hidden size={16} />
              {t.approve}
            </Button>
            <Button
              disabled={doing.isPending}
              onClick={() => {
                doing.mutate({ kind: 'review', approved: false });
              }}
            >
              <ShieldX aria-hidden size={16} />
              {t.refuse}
            </Button>
          </>
        )}
        {state.status === 'unconfirmed' && (
          <Button
            look="main"
            disabled={doing.isPending}
            onClick={() => {
              doing.mutate({ kind: 'confirm' });
            }}
          >
            <Check aria-hidden size={16} />
            {t.confirm}
          </Button>
        )}
        {!isOver && (
          <Button
            disabled={doing.isPending}
            onClick={() => {
              open('close');
            }}
          >
            <PackageCheck aria-hidden size={16} />
            {t.close}
          </Button>
        )}
        {holders.length > 0 && (
          <Button
            disabled={doing.isPending}
            onClick={() => {
              open('giveBack');
            }}
          >
            <Undo2 aria-hidden size={16} />
            {t.giveBack}
          </Button>
        )}
        {isAdmin(me) && !capture.erased_at && (
          <Button
            disabled={doing.isPending}
            onClick={() => {
              open('erase');
            }}
          >
            <Trash2 aria-hidden size={16} />
            {t.erase}
          </Button>
        )}
      </div>
      {doing.isError && asked === undefined && <Fault error={doing.error} />}
      <p role="status" className="text-sm text-good empty:hidden">
        {doing.isSuccess ? done[doing.variables.kind] : ''}
      </p>
      <Confirm
        open={asked === 'close'}
        title={t.closeSure}
        text={t.closeText}
        action={t.close}
        busy={doing.isPending}
        error={doing.error}
        onConfirm={() => {
          doing.mutate({ kind: 'close' });
        }}
        onClose={close}
      />
      <Confirm
        open={asked === 'erase'}
        title={t.eraseSure}
        text={t.eraseText}
        action={t.eraseDo}
        bad
        busy={doing.isPending}
        error={doing.error}
        onConfirm={() => {
          doing.mutate({ kind: 'erase' });
        }}
        onClose={close}
      />
      {asked === 'giveBack' && (
        <GiveBack
          lead={lead}
          holders={holders}
          busy={doing.isPending}
          error={doing.error}
          onDo={(target, reason) => {
            doing.mutate({ kind: 'giveBack', target, reason });
          }}
          onClose={close}
        />
      )}
    </div>
  );
}

const more = texts(
  {
    none: 'Политика этой заявки не принимает возвратов.',
    give: 'Вернуть',
    cancel: 'Отмена',
  },
  {
    none: 'The policy of this lead takes no returns.',
    give: 'Give back',
    cancel: 'Cancel',
  },
);

interface GiveBackProps {
  lead: Lead;
  holders: string[];
  busy: boolean;
  error: unknown;
  onDo: (target: string, reason: string) => void;
  onClose: () => void;
}

/** Who gives the lead back and why: the reasons are those of the policy that decides on it. */
function GiveBack({ lead, holders, busy, error, onDo, onClose }: GiveBackProps) {
  const t = useTexts(words);
  const m = useTexts(more);
  const [target, setTarget] = useState(holders[0] ?? '');
  const [chosen, setChosen] = useState('');
  const policy = useQuery({
    queryKey: ['policy', lead.project_id, lead.policy.version],
    staleTime: Infinity,
    queryFn: ({ signal }) =>
      ask(
        client.GET('/v1/projects/{id}/policies/{version}', {
          signal,
          params: { path: { id: lead.project_id, version: lead.policy.version } },
        }),
      ),
  });
  const reasons = policy.data?.policy.returns?.reasons ?? [];
  const reason = chosen || (reasons[0] ?? '');
  return (
    <Dialog open onClose={onClose} title={t.giveBackTitle}>
      {error || policy.error ? <Fault error={error ?? policy.error} /> : null}
      {policy.isSuccess && reasons.length === 0 ? (
        <p>{m.none}</p>
      ) : (
        <>
          <Field label={t.who}>
            {(props) => (
              <Select
                {...props}
                value={target}
                onValue={setTarget}
                options={holders.map((value) => ({ value, label: value }))}
              />
            )}
          </Field>
          <Field label={t.why}>
            {(props) => (
              <Select
                {...props}
                value={reason}
                onValue={setChosen}
                options={reasons.map((value) => ({ value, label: value }))}
              />
            )}
          </Field>
        </>
      )}
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onClose}>{m.cancel}</Button>
        <Button
          look="main"
          disabled={busy || reason === '' || target === ''}
          onClick={() => {
            onDo(target, reason);
          }}
        >
          {m.give}
        </Button>
      </div>
    </Dialog>
  );
}
