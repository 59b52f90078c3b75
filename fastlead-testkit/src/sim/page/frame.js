'use strict';

const WORDS = {
  ru: {
    arrivals: 'Что пришло', facts: 'Подключение', part: 'Что делает другая сторона', trouble: 'Неполадки', what: 'Что', number: 'Число',
    where: 'Где', next: 'На следующий запрос', always: 'На каждый', calm: 'Убрать', empty: 'Пока пусто', send: 'Сделать',
    details: 'Подробности', other: 'English', offline: 'Нет связи с симулятором, пробую снова…', waiting: 'ждёт', lasting: 'на каждый запрос',
  },
  en: {
    arrivals: 'What arrived', facts: 'How to connect', part: 'What the other side does', trouble: 'Trouble', what: 'What', number: 'Number',
    where: 'Where', next: 'For the next request', always: 'For every one', calm: 'Clear', empty: 'Nothing yet', send: 'Do it',
    details: 'Details', other: 'Русский', offline: 'No connection to the simulator, trying again…', waiting: 'waiting', lasting: 'for every request',
  },
};

let lang = (navigator.language || '').toLowerCase().startsWith('en') ? 'en' : 'ru';
let state = null;
let formsShown = '';
const opened = new Set();
const byId = (id) => document.getElementById(id);
const label = (words) => (typeof words === 'string' ? words : words[lang]);

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function fill(id, children) {
  byId(id).replaceChildren(...(children.length ? children : [element('p', WORDS[lang].empty, 'empty')]));
}

function note(text) {
  byId('note').textContent = text || '';
  byId('note').hidden = !text;
}

async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    note(answer.ok ? '' : (await answer.json()).error);
    await look();
  } catch {
    note(WORDS[lang].offline);
  }
}

function arrival(item) {
  const box = element('article');
  const meta = element('div', null, 'meta');
  meta.append(element('span', '№ ' + item.number), element('span', new Date(item.at_millis).toLocaleTimeString()));
  meta.append(element('span', (item.from ? item.from + ' → ' : '→ ') + item.to));
  box.append(meta);
  if (item.subject) box.append(element('div', item.subject, 'subject'));
  box.append(element('div', item.text, 'text'));
  const links = item.buttons.filter((button) => button.opens_url);
  if (links.length) box.append(element('div', links.map((link) => `${link.label}: ${link.data}`).join('\n'), 'text meta'));
  if (item.acts.length) {
    const row = element('div', null, 'buttons');
    for (const act of item.acts) {
      const button = element('button', label(act.label));
      button.type = 'button';
      button.addEventListener('click', () => post('page/act', act.body));
      row.append(button);
    }
    box.append(row);
  }
  const more = element('details');
  more.open = opened.has(item.number);
  more.addEventListener('toggle', () => (more.open ? opened.add(item.number) : opened.delete(item.number)));
  const known = { id: item.provider_message_id, markup: item.markup, ...item.details };
  more.append(element('summary', WORDS[lang].details), element('pre', JSON.stringify(known, null, 2)));
  box.append(more);
  return box;
}

function input(field) {
  if (field.kind === 'select') {
    const made = element('select');
    for (const [value, words] of field.options) {
      const option = element('option', label(words));
      option.value = JSON.stringify(value);
      made.append(option);
    }
    made.value = JSON.stringify(field.value);
    made.read = () => JSON.parse(made.value);
    return made;
  }
  const made = element('input');
  if (field.kind === 'check') {
    made.type = 'checkbox';
    made.checked = field.value;
    made.read = () => made.checked;
  } else {
    made.type = field.kind;
    made.value = field.value;
    made.read = () => (field.kind === 'number' ? Number(made.value) : made.value);
  }
  return made;
}

function form(item) {
  const box = element('details', null, 'form');
  box.append(element('summary', label(item.title)));
  const made = element('form');
  const inputs = item.fields.map((field) => [field.name, input(field), label(field.label)]);
  for (const [, control, words] of inputs) {
    const row = element('label');
    row.append(element('span', words), control);
    made.append(row);
  }
  const row = element('div', null, 'buttons');
  row.append(element('button', WORDS[lang].send));
  made.append(row);
  made.addEventListener('submit', (event) => {
    event.preventDefault();
    const body = { action: item.action };
    for (const [name, control] of inputs) body[name] = control.read();
    post('page/act', body);
  });
  box.append(made);
  return box;
}

function chosen() {
  const trouble = state.troubles[byId('fault').selectedIndex];
  const fault = structuredClone(trouble.fault);
  if (trouble.number) Object.values(fault)[0][trouble.number] = Number(byId('number').value);
  return fault;
}

function showNumber() {
  const trouble = state.troubles[byId('fault').selectedIndex];
  byId('number-row').hidden = !trouble.number;
  byId('number-row').style.display = trouble.number ? '' : 'none';
  if (trouble.number) byId('number').value = Object.values(trouble.fault)[0][trouble.number];
}

function options(id, words) {
  byId(id).replaceChildren(...words.map((text, index) => {
    const option = element('option', text);
    option.value = index;
    return option;
  }));
}

function show() {
  if (!state) return;
  document.documentElement.lang = lang;
  document.title = label(state.title);
  byId('title').textContent = label(state.title);
  byId('language').textContent = WORDS[lang].other;
  for (const node of document.querySelectorAll('[data-word]')) node.textContent = WORDS[lang][node.dataset.word];
  fill('arrivals', state.arrivals.map(arrival));
  byId('facts').replaceChildren(...state.facts.flatMap((fact) => [
    element('dt', label(fact.label)), element('dd', fact.value.replaceAll('{origin}', location.origin)),
  ]));
  fill('queues', state.queues.map((queue) => {
    const box = element('div', null, 'queue');
    box.append(element('div', label(queue.label)));
    for (const fault of queue.waiting) box.append(element('div', `${WORDS[lang].waiting}: ${JSON.stringify(fault)}`));
    if (queue.always) box.append(element('div', `${WORDS[lang].lasting}: ${JSON.stringify(queue.always)}`));
    return box;
  }));
  // What somebody is filling in must not be swept away by what arrives.
  const forms = lang + JSON.stringify([state.forms, state.troubles]);
  if (forms === formsShown) return;
  formsShown = forms;
  fill('forms', state.forms.map(form));
  options('fault', state.troubles.map((trouble) => label(trouble.label)));
  options('queue', state.queues.map((queue) => label(queue.label)));
  showNumber();
}

async function look() {
  const answer = await fetch('page/state');
  state = await answer.json();
  show();
}

const queue = () => state.queues[byId('queue').selectedIndex].name;
byId('trouble').addEventListener('submit', (event) => {
  event.preventDefault();
  post('page/fault', { queue: queue(), fault: chosen() });
});
byId('always').addEventListener('click', () => post('page/fault', { queue: queue(), fault: chosen(), always: true }));
byId('calm').addEventListener('click', () => post('page/fault', { queue: queue() }));
byId('fault').addEventListener('change', showNumber);
byId('language').addEventListener('click', () => {
  lang = lang === 'ru' ? 'en' : 'ru';
  show();
});

const stream = new EventSource('page/stream');
stream.addEventListener('message', () => look().then(() => note(''), () => note(WORDS[lang].offline)));
stream.addEventListener('error', () => note(WORDS[lang].offline));
