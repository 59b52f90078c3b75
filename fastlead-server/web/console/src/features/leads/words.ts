// What leads and deliveries are called, and the signs of their states.
import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleHelp,
  CircleX,
  Clock,
  Gavel,
  MailQuestion,
  PackageCheck,
  Search,
  Send,
  TimerOff,
  Undo2,
} from 'lucide-react';
import type { LucideIcon } from 'lucide-react';
import { texts } from '@/app/text';
import type { Tone } from '@/ui/badge';

export interface StateLook {
  tone: Tone;
  sign: LucideIcon;
}

const UNKNOWN: StateLook = { tone: 'plain', sign: CircleHelp };

const LEAD_LOOKS: Record<string, StateLook> = {
  new: { tone: 'accent', sign: CircleDashed },
  review: { tone: 'warn', sign: Search },
  unconfirmed: { tone: 'warn', sign: MailQuestion },
  auction: { tone: 'accent', sign: Gavel },
  open: { tone: 'accent', sign: CircleDashed },
  queued: { tone: 'accent', sign: Clock },
  accepted: { tone: 'good', sign: CircleCheck },
  rejected: { tone: 'plain', sign: Ban },
  unanswered: { tone: 'bad', sign: TimerOff },
  returned: { tone: 'warn', sign: Undo2 },
  closed: { tone: 'plain', sign: PackageCheck },
};

const DELIVERY_LOOKS: Record<string, StateLook> = {
  pending: { tone: 'accent', sign: Clock },
  sending: { tone: 'accent', sign: Send },
  awaiting_receipt: { tone: 'accent', sign: Clock },
  sent: { tone: 'good', sign: CircleCheck },
  delivered: { tone: 'good', sign: CircleCheck },
  read: { tone: 'good', sign: CircleCheck },
  failed: { tone: 'bad', sign: CircleX },
  expired: { tone: 'bad', sign: TimerOff },
  suppressed: { tone: 'plain', sign: Ban },
  cancelled: { tone: 'plain', sign: Ban },
  ambiguous: { tone: 'warn', sign: CircleHelp },
};

function lookOf(looks: Record<string, StateLook>, code: string): StateLook {
  return (Object.hasOwn(looks, code) ? looks[code] : undefined) ?? UNKNOWN;
}

/** How a state looks; one that is not known here breaks nothing. */
export function leadLook(status: string): StateLook {
  return lookOf(LEAD_LOOKS, status);
}

export function deliveryLook(state: string): StateLook {
  return lookOf(DELIVERY_LOOKS, state);
}

export const names = texts(
  {
    status: {
      new: 'новая',
      review: 'на проверке',
      unconfirmed: 'не подтверждена',
      auction: 'торги',
      open: 'ждёт ответа',
      queued: 'в очереди',
      accepted: 'в работе',
      rejected: 'отклонена',
      unanswered: 'без ответа',
      returned: 'возвращена',
      closed: 'закрыта',
    },
    delivery: {
      pending: 'ждёт отправки',
      sending: 'отправляется',
      awaiting_receipt: 'ждёт отчёта',
      sent: 'отправлено',
      delivered: 'доставлено',
      read: 'прочитано',
      failed: 'не доставлено',
      expired: 'срок вышел',
      suppressed: 'не отправлялось',
      cancelled: 'отменено',
      ambiguous: 'исход неизвестен',
    },
    purpose: {
      offer: 'предложение',
      ping: 'запрос цены',
      auto_reply: 'ответ посетителю',
      webhook: 'уведомление программе',
      interaction_reply: 'ответ на кнопку',
      notice: 'уведомление',
      manual: 'вручную',
      confirmation: 'просьба подтвердить',
      offer_ended: 'предложение снято',
    },
    timer: {
      escalate: 'следующая ступень',
      unanswered: 'останется без ответа',
      offer: 'срок ответа',
      group: 'срок ответа группы',
      queue: 'проверка очереди',
      review: 'срок проверки',
      confirm: 'срок подтверждения',
      auction_ends: 'конец торгов',
    },
    consent: {
      personal_data: 'обработка персональных данных',
      advertising: 'реклама',
      offer: 'оферта',
    },
    verdict: {
      sent: 'отправлено',
      delivered: 'доставлено',
      retry: 'будет повтор',
      failed: 'неудача',
      expired: 'срок вышел',
      awaiting_receipt: 'ждёт отчёта',
      ambiguous: 'исход неизвестен',
      accepted: 'принято провайдером',
      ask_later: 'спросим позже',
      next_part: 'следующая часть',
      deferred: 'отложено',
      channel_paused: 'канал приостановлен',
      outcome_unknown: 'исход неизвестен',
      suppressed: 'не отправлялось',
      cancelled: 'отменено',
    },
    noName: 'Без имени',
    noContact: 'нет контакта',
    erased: 'Данные удалены',
  },
  {
    status: {
      new: 'new',
      review: 'in review',
      unconfirmed: 'not confirmed',
      auction: 'auction',
      open: 'waits for an answer',
      queued: 'queued',
      accepted: 'accepted',
      rejected: 'rejected',
      unanswered: 'unanswered',
      returned: 'returned',
      closed: 'closed',
    },
    delivery: {
      pending: 'waits to be sent',
      sending: 'being sent',
      awaiting_receipt: 'waits for its receipt',
      sent: 'sent',
      delivered: 'delivered',
      read: 'read',
      failed: 'failed',
      expired: 'expired',
      suppressed: 'not sent',
      cancelled: 'cancelled',
      ambiguous: 'outcome unknown',
    },
    purpose: {
      offer: 'offer',
      ping: 'request for a bid',
      auto_reply: 'answer to the visitor',
      webhook: 'notice to a program',
      interaction_reply: 'answer to a button',
      notice: 'notice',
      manual: 'by hand',
      confirmation: 'request to confirm',
      offer_ended: 'offer withdrawn',
    },
    timer: {
      escalate: 'next step',
      unanswered: 'stays unanswered',
      offer: 'time to answer',
      group: 'time of the group to answer',
      queue: 'look at the queue',
      review: 'time for review',
      confirm: 'time to confirm',
      auction_ends: 'end of the auction',
    },
    consent: {
      personal_data: 'personal data',
      advertising: 'advertising',
      offer: 'offer',
    },
    verdict: {
      sent: 'sent',
      delivered: 'delivered',
      retry: 'will be tried again',
      failed: 'failed',
      expired: 'expired',
      awaiting_receipt: 'waits for its receipt',
      ambiguous: 'outcome unknown',
      accepted: 'taken by the provider',
      ask_later: 'to be asked later',
      next_part: 'next part',
      deferred: 'put off',
      channel_paused: 'channel paused',
      outcome_unknown: 'outcome unknown',
      suppressed: 'not sent',
      cancelled: 'cancelled',
    },
    noName: 'No name',
    noContact: 'no contact',
    erased: 'Data erased',
  },
);
