// Tables of the day: who got what, and what two policies come to on the same captures.
'use strict';

function table(heads, rows) {
  const made = element('table');
  const head = element('tr');
  for (const text of heads) head.append(element('th', text));
  made.append(head);
  for (const cells of rows) {
    const row = element('tr');
    cells.forEach((cell, index) => row.append(cell instanceof Node ? cell : element(index ? 'td' : 'th', cell)));
    made.append(row);
  }
  return made;
}

function difference(row) {
  const change = row.after - row.before;
  if (change === 0) return element('td', '0', 'quiet');
  const sign = change > 0 ? '+' : '−';
  const percent = row.change_permille === null ? '' : ` (${sign}${Math.abs(Math.round(row.change_permille / 10))}%)`;
  return element('td', `${sign}${Math.abs(change)}${percent}`, 'changed');
}

// The numbers of a backtest that people ask for first; the API answers all of them.
function backtestTable(found, names) {
  const order = Object.keys(names);
  const rows = [];
  const add = (label, name) => {
    const row = found.rows.find((candidate) => candidate.name === name);
    if (row && (row.before || row.after)) rows.push([label, String(row.before), String(row.after), difference(row)]);
  };
  const targets = new Set(found.rows.filter((row) => row.name.startsWith('targets.')).map((row) => row.name.split('.')[1]));
  const known = [...targets].sort((a, b) => order.indexOf(a) - order.indexOf(b));
  for (const target of known) add(`${names[target] || target}: ${said('numbers').offers}`, `targets.${target}.offers`);
  for (const target of known) add(`${names[target] || target}: ${said('numbers').accepted}`, `targets.${target}.accepted`);
  for (const name of ['accepted', 'queued', 'unanswered']) add(said('numbers')[`all_${name}`], name);
  add(said('numbers').p90, 'first_offer.p90_secs');
  return table(['', said('before'), said('after'), said('difference')], rows);
}

// Whom the leads of each version were offered to first.
function shares(leads, names) {
  const versions = new Map();
  for (const lead of leads) {
    const first = lead.state.offers[0];
    if (!first) continue;
    const counts = versions.get(lead.policy.version) || new Map();
    counts.set(first.target, (counts.get(first.target) || 0) + 1);
    versions.set(lead.policy.version, counts);
  }
  return [...versions].sort((a, b) => b[0] - a[0]).map(([version, counts]) => {
    const box = element('div', null, 'share');
    box.dataset.version = version;
    box.append(element('h3', said('shareOf')(version)));
    const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
    for (const [target, count] of [...counts].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
      const line = element('div', null, 'bar');
      line.dataset.target = target;
      const bar = element('meter');
      bar.max = all;
      bar.value = count;
      bar.title = `${count} / ${all}`;
      line.append(element('span', names[target] || target), bar, element('span', String(count), 'count'));
      box.append(line);
    }
    return box;
  });
}
