// What the pages of the demo share: the language, boxes that are filled anew, messages, the live stream.
'use strict';

const BOTH = {
  ru: {
    offline: 'Нет связи с сервером, пробую снова…', other: 'English', empty: 'Пока пусто',
    tabStory: 'Одна заявка', tabDay: 'День агентства', tabWidget: 'Форма на сайте', tabConsole: 'Консоль',
    status: { unconfirmed: 'не подтверждена', open: 'ждёт', queued: 'в очереди', accepted: 'в работе', rejected: 'отклонена', unanswered: 'без ответа', closed: 'закрыта', returned: 'возвращена' },
  },
  en: { offline: 'No connection to the server, trying again…', other: 'Русский', empty: 'Nothing yet', tabStory: 'One lead', tabDay: 'An agency’s day', tabWidget: 'Widget', tabConsole: 'Console', status: {} },
};

let lang = new URLSearchParams(location.search).get('lang') === 'en' ? 'en' : 'ru';
const said = (key) => WORDS[lang][key] ?? BOTH[lang][key];
const word = (group, key) => (said(group) || {})[key] || String(key || '').replaceAll('_', ' ');

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function fill(id, children) {
  const box = document.getElementById(id);
  box.replaceChildren(...(children.length ? children : [element('p', said('empty'), 'empty')]));
}

function press(chat, arrival, data) {
  fetch(`/demo/press/${chat}/${arrival.provider_message_id}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ data }),
  });
}

function message(arrival, chat) {
  const box = element('div', null, 'message');
  if (arrival.subject) box.append(element('div', arrival.to + ' · ' + arrival.subject, 'meta'));
  else if (!chat) box.append(element('div', arrival.to, 'meta'));
  box.append(element('div', arrival.text));
  if (chat && arrival.buttons.length) {
    const row = element('div', null, 'buttons');
    for (const button of arrival.buttons.filter((b) => !b.opens_url)) {
      const made = element('button', button.label, button.data.startsWith('a.') ? 'accept' : '');
      made.type = 'button';
      made.addEventListener('click', () => press(chat, arrival, button.data));
      row.append(made);
    }
    box.append(row);
  }
  return box;
}

// The words of the page that stand still, in the language that was chosen.
function translate() {
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = said(node.dataset.t);
  document.getElementById('lang').textContent = said('other');
  document.documentElement.lang = lang;
  for (const link of document.querySelectorAll('nav a')) link.search = `?lang=${lang}`;
}

function onLanguage(changed) {
  document.getElementById('lang').addEventListener('click', () => {
    lang = lang === 'ru' ? 'en' : 'ru';
    history.replaceState(null, '', `?lang=${lang}`);
    changed();
  });
}

function listen(address, changed) {
  const offline = document.getElementById('offline');
  const stream = new EventSource(address);
  stream.addEventListener('state', (event) => {
    offline.hidden = true;
    changed(JSON.parse(event.data));
  });
  stream.addEventListener('error', () => { offline.hidden = false; });
}
