import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { ask, client } from '@/api/client';
import type { Schema } from '@/api/client';
import { useLook } from '@/app/look';
import { channelsQuery } from '@/app/session';
import { named, texts, useTexts } from '@/app/text';
import { clock, day } from '@/app/time';
import { Badge } from '@/ui/badge';
import { Button } from '@/ui/button';
import { Confirm } from '@/ui/confirm';
import { Empty, useReason } from '@/ui/state';
import { deliveryLook, names } from './words';

const words = texts(
  {
    none: 'Сообщений не было',
    noneHow: 'По этой заявке политика ещё никому не писала.',
    via: (channel: string) => `канал ${channel}`,
    reason: (code: string) => `причина: ${code}`,
    next: (time: string) => `следующая попытка: ${time}`,
    unsure: 'могло дойти: провайдер не подтвердил',
    attempts: 'Попытки',
    attempt: (number: number) => `попытка ${number}`,
    took: (ms: number) => `${ms.toLocaleString('ru')} мс`,
    again: 'Отправить ещё раз',
    sure: 'Отправить ещё раз?',
    sureText: 'Сообщение снова встанет в очередь.',
    twice: 'Прошлая попытка могла дойти: получатель может увидеть сообщение дважды.',
    endpoint: 'адрес программы',
  },
  {
    none: 'No messages yet',
    noneHow: 'The policy has written to nobody about this lead.',
    via: (channel: string) => `channel ${channel}`,
    reason: (code: string) => `reason: ${code}`,
    next: (time: string) => `next attempt: ${time}`,
    unsure: 'may have arrived: the provider has not confirmed',
    attempts: 'Attempts',
    attempt: (number: number) => `attempt ${number}`,
    took: (ms: number) => `${ms.toLocaleString('en')} ms`,
    again: 'Send again',
    sure: 'Send it again?',
    sureText: 'The message is queued again.',
    twice: 'The last attempt may have arrived: the recipient may see the message twice.',
    endpoint: 'address of a program',
  },
);

type Delivery = Schema['DeliveryDetails'];

const LOST = ['failed', 'expired', 'ambiguous'];

function address(recipient: Delivery['recipient'], endpoint: string): string {
  if (typeof recipient === 'string') return endpoint;
  const [value] = Object.values(recipient) as unknown[];
  return typeof value === 'string' ? value : '';
}

/** The messages about the lead, newest first, each with its attempts. */
export function Deliveries({ deliveries, zone }: { deliveries: Delivery[]; zone: string | undefined }) {
  const t = useTexts(words);
  if (deliveries.length === 0) {
    return (
      <Empty title={t.none}>
        <p>{t.noneHow}</p>
      </Empty>
    );
  }
  return (
    <ul className="grid gap-3">
      {deliveries.map((delivery) => (
        <One key={delivery.id} delivery={delivery} zone={zone} />
      ))}
    </ul>
  );
}

function One({ delivery, zone }: { delivery: Delivery; zone: string | undefined }) {
  const t = useTexts(words);
  const n = useTexts(names);
  const locale = useLook((look) => look.locale);
  const { data: channels } = useQuery(channelsQuery);
  const channel = channels?.items.find((one) => one.id === delivery.channel_id)?.name ?? delivery.channel_id;
  const look = deliveryLook(delivery.state);
  const to = delivery.target ?? address(delivery.recipient, t.endpoint);
  return (
    <li className="grid gap-2 rounded-xl border border-line bg-panel p-4">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <Badge tone={look.tone} sign={look.sign}>
          {named(n.delivery, delivery.state)}
        </Badge>
        <span className="font-medium">
          {named(n.purpose, delivery.purpose)} → {to}
        </span>
        <span className="text-dim">{t.via(channel)}</span>
        <time
          dateTime={delivery.created_at}
          title={delivery.created_at}
          className="text-sm text-dim tabular-nums"
        >
          {day(delivery.created_at, locale, zone)} {clock(delivery.created_at, locale, zone)}
        </time>
      </div>
      {delivery.reason && <p>{t.reason(delivery.reason)}</p>}
      {delivery.uncertain && <p className="text-warn">{t.unsure}</p>}
      {delivery.state === 'pending' && (
        <p className="text-dim">{t.next(clock(delivery.due_at, locale, zone))}</p>
      )}
      {delivery.attempts.length > 0 && <Attempts attempts={delivery.attempts} zone={zone} />}
      {LOST.includes(delivery.state) && <Again delivery={delivery} />}
    </li>
  );
}

function Attempts({ attempts, zone }: { attempts: Delivery['attempts']; zone: string | undefined }) {
  const t = useTexts(words);
  const n = useTexts(names);
  const locale = useLook((look) => look.locale);
  return (
    <ol aria-label={t.attempts} className="grid text-sm tabular-nums">
      {attempts.map((attempt) => (
        <li
          key={`${attempt.number}.${attempt.part}`}
          className="flex flex-wrap items-baseline gap-x-4 border-t border-line py-1"
        >
          <span className="text-dim">{t.attempt(attempt.number)}</span>
          <time dateTime={attempt.started_at} title={attempt.started_at}>
            {clock(attempt.started_at, locale, zone)}
          </time>
          <span>{t.took(Math.round(attempt.micros / 1000))}</span>
          <span className="font-medium">{named(n.verdict, attempt.verdict)}</span>
          {attempt.error && (
            <span className="text-bad">
              {attempt.error.message} ({attempt.error.provider_code ?? attempt.error.code})
            </span>
          )}
        </li>
      ))}
    </ol>
  );
}

function Again({ delivery }: { delivery: Delivery }) {
  const t = useTexts(words);
  const reason = useReason();
  const cache = useQueryClient();
  const [asked, setAsked] = useState(false);
  const again = useMutation({
    mutationFn: () =>
      ask(client.POST('/v1/deliveries/{id}/retry', { params: { path: { id: delivery.id } } })),
    onSuccess: async () => {
      setAsked(false);
      await cache.invalidateQueries({ queryKey: ['lead', delivery.lead_id] });
    },
  });
  const isUnsure = delivery.uncertain || delivery.state === 'ambiguous';
  return (
    <>
      <Button
        className="justify-self-start"
        onClick={() => {
          again.reset();
          setAsked(true);
        }}
      >
        {t.again}
      </Button>
      <Confirm
        open={asked}
        title={t.sure}
        text={isUnsure ? t.twice : t.sureText}
        action={t.again}
        bad={isUnsure}
        busy={again.isPending}
        error={again.error}
        onConfirm={() => {
          again.mutate();
        }}
        onClose={() => {
          setAsked(false);
        }}
      />
      {again.isError && <span className="sr-only">{reason(again.error)}</span>}
    </>
  );
}
