'use strict';

const WORDS = {
  ru: {
    lead: 'Оставьте номер в форме и смотрите, что происходит.', form: 'Форма на сайте', chats: 'Telegram менеджеров',
    phone: 'Телефон посетителя', mail: 'Почта', crm: 'Вебхук в CRM', body: 'что подписано', leads: 'Заявки и почему так решено',
    deliveries: 'Доставки',
    kinds: { captured: 'Контакт оставлен', delivery_ended: 'Доставка не удалась', timer_fired: 'Время вышло', responded: 'Ответ менеджера' },
    verdicts: { passed: 'пройдено', refused: 'отказ', chosen: 'выбрано', skipped: 'пропущено', scheduled: 'запланировано' },
    reasons: {
      condition_held: 'условие выполнено', duplicate_key: 'такая заявка уже есть', nothing_to_compare: 'нечего сравнивать',
      no_phone: 'нет телефона', no_email: 'нет почты', no_advertising_consent: 'нет согласия на рекламу',
      channel_missing: 'канала больше нет', channel_paused: 'канал остановлен', same_channel: 'тот же канал',
      target_missing: 'нет в политике', not_waiting: 'заявка уже не ждёт', taken_before: 'уже взяли',
      declined_before: 'уже отказался', ladder_ended: 'ступени кончились', nobody_left: 'ответить больше некому',
      others_may_answer: 'ещё могут ответить другие', answered: 'ответ принят',
    },
    states: { pending: 'ждёт', sending: 'отправляется', awaiting_receipt: 'принято, ждём отчёт', delivered: 'доставлено', sent: 'отправлено', failed: 'не доставлено', expired: 'устарело', suppressed: 'запрещено', cancelled: 'отменено', ambiguous: 'неясно, нужен человек' },
    purposes: { offer: 'предложение', auto_reply: 'ответ посетителю', webhook: 'вебхук', interaction_reply: 'ответ на кнопку', offer_ended: 'итог предложения', confirmation: 'просьба подтвердить', ping: 'запрос цены', notice: 'уведомление' },
  },
  en: {
    lead: 'Leave a number in the form and watch what happens.', form: 'Form on the site', chats: 'Managers’ Telegram',
    phone: 'Visitor’s phone', mail: 'Mailbox', crm: 'Webhook to the CRM', body: 'what is signed', leads: 'Leads, and why it was decided so',
    deliveries: 'Deliveries', kinds: { captured: 'Contact left', delivery_ended: 'Delivery failed', timer_fired: 'Time is up', responded: 'Manager’s answer' },
    verdicts: {}, reasons: {}, states: {}, purposes: {},
  },
};

let state = null;

// What somebody has opened stays open while other things arrive.
const opened = new Set();

function webhook(arrival) {
  const event = JSON.parse(arrival.text);
  const header = (name) => {
    const line = element('div', null, 'meta');
    line.append(element('code', name), ` ${arrival.details.headers[name]}`);
    return line;
  };
  const box = element('div', null, 'message');
  const rest = element('details');
  const id = arrival.details.headers['webhook-id'];
  rest.open = opened.has(id);
  rest.addEventListener('toggle', () => (rest.open ? opened.add(id) : opened.delete(id)));
  rest.append(
    element('summary', WORDS[lang].body), header('webhook-id'), header('webhook-timestamp'),
    element('pre', JSON.stringify(event, null, 2)),
  );
  box.append(element('strong', event.type), header('webhook-signature'), rest);
  return box;
}

function lead(item) {
  const { capture, state: stands, id } = item.lead;
  const box = element('article', null, 'lead');
  const head = element('div', null, 'head');
  const taken = stands.assigned_to ? ` · ${stands.assigned_to}` : '';
  head.append(element('strong', capture.name || id), element('span', word('status', stands.status) + taken, `status ${stands.status}`));
  box.append(head);
  const columns = element('div', null, 'columns');
  const why = element('div');
  for (const event of item.history) {
    why.append(element('h3', word('kinds', event.kind)));
    const list = element('ul');
    for (const step of event.trace.steps) {
      const reason = step.reason ? `: ${word('reasons', step.reason)}` : '';
      const subject = step.subject ? ` ${step.subject}` : '';
      const line = element('li', null, step.verdict);
      line.append(element('code', step.rule), `${subject} — ${word('verdicts', step.verdict)}${reason}`);
      list.append(line);
    }
    why.append(list);
  }
  const sent = element('div');
  sent.append(element('h3', WORDS[lang].deliveries));
  const list = element('ul');
  for (const d of [...item.deliveries].reverse()) {
    const line = element('li', null, d.state);
    line.append(element('code', state.channels[d.channel_id]), ` ${word('purposes', d.purpose)} — ${word('states', d.state)}${d.reason ? ` (${d.reason})` : ''}`);
    list.append(line);
  }
  sent.append(list);
  columns.append(why, sent);
  box.append(columns);
  return box;
}

function draw() {
  translate();
  if (!state) return;
  const chats = [];
  for (const chat of state.chats) {
    chats.push(element('h3', chat.title));
    const messages = [...chat.messages].reverse().map((arrival) => message(arrival, chat.id));
    chats.push(...(messages.length ? messages : [element('p', said('empty'), 'empty')]));
  }
  fill('chats', chats);
  fill('sms', [...state.sms].reverse().map((arrival) => message(arrival)));
  fill('mail', [...state.mail].reverse().map((arrival) => message(arrival)));
  fill('crm', [...state.crm].reverse().map(webhook));
  fill('leads', state.leads.map(lead));
}

onLanguage(() => {
  document.getElementById('form').src = `/f/demo?lang=${lang}`;
  draw();
});
listen('/demo/stream', (shown) => {
  state = shown;
  draw();
});
if (lang !== 'ru') document.getElementById('form').src = `/f/demo?lang=${lang}`;
draw();
