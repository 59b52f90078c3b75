'use strict';

const WORDS = {
  ru: {
    lead: 'Агентство раздаёт заявки двум менеджерам. Пройдите его день за пять шагов.',
    policy: 'Политика', policyText: 'Текст политики, YAML или JSON', leads: 'Заявки', chats: 'Telegram',
    check: 'Проверить', compare: 'Сравнить на прошлом', night: 'А если ночью?', publish: 'Опубликовать', ten: 'Десять заявок',
    weights: 'Вес:', silence: 'Одним ответьте, другим — нет: через 15 с придёт напоминание, ещё через 15 с заявку получит другой, ещё через 20 с — старший.',
    empty: 'Пока пусто', emptyLeads: 'Заявок ещё нет. Опубликуйте политику и нажмите «Десять заявок».',
    steps: ['Опубликуйте политику: два менеджера, ночная смена, лестница', 'Пришлите десять заявок и смотрите, кому они достались', 'Промолчите: заявка уйдёт другому', 'Спросите, почему так решено', 'Поменяйте веса, сравните на прошлом и опубликуйте'],
    now: (state) => `Действует версия ${state.version}. У агентства ${state.local_time} (${state.zone}).`,
    valid: 'Ошибок нет: политику можно опубликовать.', faults: (count) => `Ошибок: ${count}`, line: (line) => `строка ${line}`,
    published: (version) => `Опубликована версия ${version}. Новые заявки решает она, прежние остаются со своей.`,
    same: 'Это и так действующая версия: публиковать нечего.',
    changes: (version) => `Что изменится по сравнению с версией ${version}`, noChanges: 'С действующей версией отличий нет.',
    tried: (found) => `${found.captures} прошлых заявок за 30 дней: было (версия ${found.against}) и стало`,
    assumed: 'Кто тогда получил эту заявку, ведёт себя так же; кто не получал — принимает через 10 с. Все числа — в ответе API.',
    cut: 'Заявок слишком много: посчитаны только самые старые.',
    before: 'было', after: 'стало', difference: 'разница',
    numbers: { offers: 'предложено', accepted: 'принято', all_accepted: 'Всего принято', all_queued: 'Ждали в очереди', all_unanswered: 'Без ответа', p90: '90% получили первое предложение за, с' },
    nightTitle: (state) => `Заявка в 23:30 (${state.zone}): что было бы. Ничего не записано и не отправлено.`,
    shareOf: (version) => `Кому предложено сначала, версия ${version}`,
    why: 'Почему?', hide: 'Скрыть', offered: (names) => `предложена: ${names}`,
    next: { remind: 'напомнить', reassign: 'передать другому', offer: 'сказать старшему', fallback: 'отдать', unanswered: 'считать без ответа', other: 'следующий шаг' },
    in: (seconds, what) => `через ${seconds} с: ${what}`, at: (time, what) => `в ${time}: ${what}`, soon: (what) => `сейчас: ${what}`,
    failed: 'Не вышло', reach: 'Сервер не отвечает. Он запущен?',
    guest: (number) => `Гость ${number}`,
  },
  en: {
    lead: 'An agency hands out leads to two managers. Walk through its day in five steps.',
    policy: 'Policy', policyText: 'Text of the policy, YAML or JSON', leads: 'Leads', chats: 'Telegram',
    check: 'Check', compare: 'Compare on the past', night: 'And at night?', publish: 'Publish', ten: 'Ten leads',
    weights: 'Weight:', silence: 'Answer some and leave others: after 15 s a reminder comes, 15 s later another one gets the lead, 20 s later the chief.',
    empty: 'Nothing yet', emptyLeads: 'No leads yet. Publish the policy and press “Ten leads”.',
    steps: ['Publish the policy: two managers, a night shift, a ladder', 'Send ten leads and see who gets them', 'Stay silent: the lead goes to another', 'Ask why it was decided so', 'Change the weights, compare on the past, publish'],
    now: (state) => `Version ${state.version} decides. At the agency it is ${state.local_time} (${state.zone}).`,
    valid: 'No faults: the policy can be published.', faults: (count) => `Faults: ${count}`, line: (line) => `line ${line}`,
    published: (version) => `Version ${version} is published. It decides on new leads; older ones stay with theirs.`,
    same: 'This is the current version already: there is nothing to publish.',
    changes: (version) => `What changes from version ${version}`, noChanges: 'It says what the current version says.',
    tried: (found) => `${found.captures} past leads of 30 days: before (version ${found.against}) and after`,
    assumed: 'Whoever had the lead then does what it did then; whoever had not accepts after 10 s. The API answers every number.',
    cut: 'There are too many leads: only the oldest were counted.',
    before: 'before', after: 'after', difference: 'difference',
    numbers: { offers: 'offered', accepted: 'accepted', all_accepted: 'Accepted in all', all_queued: 'Waited in the queue', all_unanswered: 'Unanswered', p90: '90% had their first offer within, s' },
    nightTitle: (state) => `A lead at 23:30 (${state.zone}): what would happen. Nothing is stored or sent.`,
    shareOf: (version) => `Offered first to, version ${version}`,
    why: 'Why?', hide: 'Hide', offered: (names) => `offered to: ${names}`,
    next: { remind: 'remind', reassign: 'give it to another', offer: 'tell the chief', fallback: 'hand it over', unanswered: 'give up waiting', other: 'next step' },
    in: (seconds, what) => `in ${seconds} s: ${what}`, at: (time, what) => `at ${time}: ${what}`, soon: (what) => `now: ${what}`,
    failed: 'That did not work', reach: 'The server does not answer. Is it running?',
    guest: (number) => `Guest ${number}`,
  },
};

// The demo's own administrator: the page is for one person on one machine, and the program prints both.
const LOGIN = { login: 'admin', password: 'demo-password' };
const AT_ONCE = 10;
// The demo's ladder has short steps, so whoever did not have a lead then is assumed to answer soon too.
const ASSUMED_SECS = 10;

let state = null;
let policy = null;
let token = null;
let compared = false;
let explained = new Map();
const text = document.getElementById('text');
const project = () => `/v1/projects/${state.project_id}`;
const names = () => Object.fromEntries(Object.entries(policy ? policy.targets : {}).map(([key, target]) => [key, target.display_name]));

class Refused extends Error {
  constructor(problem) {
    super(problem.detail || problem.title || said('failed'));
    this.faults = (problem.errors || []).map((fault) => ({ path: fault.field, message: fault.message }));
  }
}

// The operator API, as any program calls it.
async function api(method, path, body) {
  if (!token) {
    const answer = await fetch('/v1/login', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(LOGIN) });
    if (!answer.ok) throw new Refused(await answer.json());
    token = (await answer.json()).access_token;
  }
  const headers = { authorization: `Bearer ${token}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (answer.status === 401) token = null;
  if (!answer.ok) throw new Refused(await answer.json());
  return answer.status === 204 ? null : answer.json();
}

function tell(...nodes) {
  document.getElementById('said').replaceChildren(...nodes);
}

// Says what went wrong where it was asked for: beside the policy, or beside the leads.
function trouble(error, place = 'said') {
  const text = error instanceof Refused ? error.message : said('reach');
  document.getElementById(place).replaceChildren(element('p', text, 'failed'));
}

// Goes to the line of a fault in the text.
function select(line) {
  const lines = text.value.split('\n');
  const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + lines[line - 1].length);
  text.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(text).lineHeight));
}

function faultList(faults) {
  const list = element('ul', null, 'faults');
  for (const fault of faults) {
    const item = element('li');
    if (fault.line) {
      const go = element('button', said('line')(fault.line), 'small');
      go.type = 'button';
      go.addEventListener('click', () => select(fault.line));
      item.append(go, ' ');
    }
    if (fault.path) item.append(element('code', fault.path), ' ');
    item.append(fault.message);
    list.append(item);
  }
  return list;
}

// Reads what was typed; answers the document, or says what is wrong with it.
async function read() {
  const answer = await fetch('/demo/day/check', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: text.value });
  const { document: found, faults } = await answer.json();
  if (faults.length === 0) return found;
  tell(element('p', said('faults')(faults.length), 'failed'), faultList(faults));
  return null;
}

const shown = (value) => (value === undefined ? '—' : JSON.stringify(value));

function changeList(difference) {
  if (difference.changes.length === 0) return [element('p', said('noChanges'), 'quiet')];
  const list = element('ul', null, 'changes');
  for (const change of difference.changes) {
    const item = element('li');
    item.append(element('code', change.path), ` ${shown(change.old)} → ${shown(change.new)}`);
    list.append(item);
  }
  const rest = element('details');
  rest.open = difference.changes.length <= 4;
  rest.append(element('summary', `${said('changes')(difference.from)}: ${difference.changes.length}`), list);
  return [rest];
}

async function check() {
  if (await read()) tell(element('p', said('valid'), 'good'));
}

async function compare() {
  const found = await read();
  if (!found) return;
  await api('PUT', `${project()}/policy/draft`, found);
  const difference = await api('GET', `${project()}/policy/diff`);
  const report = await api('POST', `${project()}/policy/backtest`, { answer_secs: ASSUMED_SECS });
  // First those whom the rules name, in their order.
  const routed = [found.route].flat().flatMap((rule) => rule.targets);
  const everybody = { ...policy.targets, ...found.targets };
  const all = Object.fromEntries([...routed, ...Object.keys(everybody)].map((key) => [key, everybody[key].display_name]));
  compared = true;
  const table = backtestTable(report, all);
  table.id = 'backtest';
  tell(...changeList(difference), element('h3', said('tried')(report)), table,
    element('p', report.complete ? said('assumed') : said('cut'), 'quiet'));
  draw();
}

async function publish() {
  const found = await read();
  if (!found) return;
  const before = state.version;
  await api('PUT', `${project()}/policy/draft`, found);
  const published = await api('POST', `${project()}/policy/draft/publish`);
  policy = published.policy;
  state.version = published.version;
  tell(element('p', published.version === before ? said('same') : said('published')(published.version), 'good'));
  draw();
}

async function tryNight() {
  const found = await read();
  if (!found) return;
  const capture = { name: said('guest')(0), phone: '+7 900 000-99-99' };
  const body = { source: state.source_key, capture, policy: found, at: state.night, locale: lang };
  const outcome = await api('POST', `${project()}/policy/dry-run`, body);
  tell(element('h3', said('nightTitle')(state)), sentences([...outcome.sentences, ...outcome.effects]));
}

// Ten invented people, sent as a site sends them.
async function ten() {
  const last = state.leads.map((lead) => Number((lead.capture.phone || '').slice(-4))).reduce((a, b) => Math.max(a, b), 5000);
  for (let number = last + 1; number <= last + AT_ONCE; number += 1) {
    const answer = await fetch(`/v1/capture/${state.source_key}`, {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: said('guest')(number - 5000), phone: `+7 900 000 ${number}` }),
    });
    if (!answer.ok) throw new Refused(await answer.json());
  }
}

// Names of targets, rules and codes stand between backticks.
function sentences(lines) {
  const list = element('ul', null, 'sentences');
  for (const line of lines) {
    const item = element('li');
    line.split('`').forEach((part, index) => item.append(index % 2 ? element('code', part) : part));
    list.append(item);
  }
  return list;
}

async function explain(lead) {
  const story = await api('GET', `/v1/leads/${lead.id}/explain?locale=${lang}`);
  explained.set(lead.id, { version: lead.state.version, story });
}

async function why(lead) {
  if (explained.has(lead.id)) explained.delete(lead.id);
  else await explain(lead);
  draw();
}

function nextTimer(lead) {
  const timers = lead.state.timers.filter((timer) => timer.name === 'escalate' || timer.name === 'unanswered');
  const first = timers.sort((a, b) => (a.due_at < b.due_at ? -1 : 1))[0];
  if (!first) return null;
  const rung = first.step && policy && policy.escalation[first.step - 1];
  const what = first.name === 'unanswered' ? 'unanswered' : rung ? rung.action || 'offer' : 'other';
  const box = element('span', null, 'timer');
  box.dataset.due = first.due_at;
  box.dataset.what = what;
  return box;
}

function tick() {
  for (const box of document.querySelectorAll('.timer')) {
    const what = said('next')[box.dataset.what] || said('next').other;
    const due = new Date(box.dataset.due);
    const seconds = Math.ceil((due - Date.now()) / 1000);
    if (seconds > 3600) box.textContent = said('at')(due.toLocaleTimeString(lang, { hour: '2-digit', minute: '2-digit' }), what);
    else box.textContent = seconds > 0 ? said('in')(seconds, what) : said('soon')(what);
  }
}

function leadRow(lead) {
  const { state: stands, capture } = lead;
  const box = element('article', null, `lead ${stands.status}`);
  box.dataset.lead = lead.id;
  const head = element('div', null, 'head');
  head.append(element('strong', capture.name), element('span', word('status', stands.status), `status ${stands.status}`));
  const waiting = stands.offers.filter((offer) => offer.alive > 0 && !offer.declined && !offer.lapsed).map((offer) => offer.target);
  const known = names();
  const label = (target) => known[target] || target;
  if (stands.assigned_to) head.append(element('span', label(stands.assigned_to), 'who'));
  else if (waiting.length) head.append(element('span', said('offered')([...new Set(waiting)].map(label).join(', ')), 'who'));
  const ask = element('button', explained.has(lead.id) ? said('hide') : said('why'), 'small');
  ask.type = 'button';
  ask.addEventListener('click', () => why(lead).catch((error) => trouble(error, 'trouble')));
  head.append(ask);
  box.append(head);
  const timer = stands.assigned_to ? null : nextTimer(lead);
  if (timer) box.append(timer);
  const known_story = explained.get(lead.id);
  if (known_story) {
    for (const event of known_story.story.history) {
      const [first, ...rest] = event.sentences;
      box.append(element('h3', `${new Date(event.at).toLocaleTimeString(lang)} · ${first.replaceAll('`', '')}`), sentences(rest));
    }
    if (known_story.version !== stands.version) explain(lead).then(draw).catch((error) => trouble(error, 'trouble'));
  }
  return box;
}

function draw() {
  translate();
  const leads = state ? state.leads : [];
  const done = [
    state && state.version > 1, leads.length >= AT_ONCE, leads.some((lead) => lead.state.offers.some((offer) => offer.lapsed)),
    explained.size > 0, state && compared && state.version > 2,
  ];
  document.getElementById('steps').replaceChildren(...said('steps').map((step, index) => element('li', step, done[index] ? 'done' : '')));
  if (!state) return;
  document.getElementById('now').textContent = said('now')(state);
  const chats = [];
  for (const chat of state.chats) {
    const box = element('div', null, 'chat');
    box.dataset.chat = chat.id;
    box.append(element('h3', chat.title));
    const messages = [...chat.messages].reverse().map((arrival) => message(arrival, chat.id));
    const log = element('div', null, 'log');
    log.append(...(messages.length ? messages : [element('p', said('empty'), 'empty')]));
    box.append(log);
    chats.push(box);
  }
  fill('chats', chats);
  document.getElementById('shares').replaceChildren(...shares(leads, names()));
  document.getElementById('leads').replaceChildren(...(leads.length ? leads.map(leadRow) : [element('p', said('emptyLeads'), 'empty')]));
  tick();
}

// The weights in the text, as the two fields beside it show and change them.
const weightOf = (name) => new RegExp(`(\\n {2}${name}:\\n(?: {4}.*\\n)*? {4}weight: )(\\d+)`);

function showWeights() {
  for (const name of ['anna', 'oleg']) {
    const field = document.getElementById(`weight-${name}`);
    const found = text.value.match(weightOf(name));
    field.disabled = !found;
    if (document.activeElement !== field) field.value = found ? found[2] : '';
  }
}

function busy(id, work, place) {
  const button = document.getElementById(id);
  button.addEventListener('click', async () => {
    button.disabled = true;
    document.getElementById(place).replaceChildren();
    try {
      await work();
    } catch (error) {
      trouble(error, place);
    } finally {
      button.disabled = false;
    }
  });
}

for (const [id, work] of [['check', check], ['compare', compare], ['night', tryNight], ['publish', publish]]) busy(id, work, 'said');
busy('ten', ten, 'trouble');
text.addEventListener('input', showWeights);
for (const name of ['anna', 'oleg']) {
  document.getElementById(`weight-${name}`).addEventListener('input', (event) => {
    if (/^\d$/.test(event.target.value)) text.value = text.value.replace(weightOf(name), `$1${event.target.value}`);
  });
}

onLanguage(() => {
  // What was not touched is shown in the language that was chosen.
  if (state && state.suggested.includes(text.value)) text.value = state.suggested[lang === 'ru' ? 0 : 1];
  for (const [id] of explained) explain(state.leads.find((lead) => lead.id === id)).then(draw).catch(trouble);
  tell();
  draw();
});

listen('/demo/day/stream', async (shownNow) => {
  const first = state === null;
  const moved = first || state.version !== shownNow.version;
  state = shownNow;
  if (first) {
    text.value = state.suggested[lang === 'ru' ? 0 : 1];
    showWeights();
  }
  try {
    if (moved || !policy) policy = (await api('GET', `${project()}/policy`)).policy;
  } catch (error) {
    trouble(error);
  }
  draw();
});
setInterval(tick, 500);
draw();
