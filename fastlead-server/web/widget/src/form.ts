// The form itself: fields, boxes, what the visitor is told.
import type { Consent, Definition, Field } from './definition';
import { element } from './dom';
import { mask, settled } from './phone';
import type { Answer, Fault, Sent } from './queue';
import { attribution } from './touch';

/** Fewer digits are no number of any country. */
const PHONE_DIGITS = 6;

export interface View {
  node: HTMLElement;
  /** The form is seen from now on: the time a person needs begins. */
  shown(): void;
  /** What was sent before is answered at last. */
  answered(id: string, answer: Answer): void;
}

export interface Links {
  /** Where the documents are. */
  host: string;
  send(body: string): Promise<Sent>;
  /** Tells the site, without personal data. */
  tell(event: 'sent' | 'queued' | 'refused', code?: string): void;
}

let forms = 0;

export function view(form: Definition, { host, send, tell }: Links): View {
  const { words, errors } = form;
  const word = (name: string): string => words[name] ?? '';
  const prefix = `f${(forms += 1)}-`;
  const controls = new Map<string, { input: HTMLInputElement | HTMLTextAreaElement; fault: HTMLElement }>();
  let since = performance.now();
  let waitsFor: string | undefined;

  const control = (name: string, input: HTMLInputElement | HTMLTextAreaElement): HTMLElement => {
    const fault = element('p', { className: 'fault', id: `${prefix}${name}-fault` });
    input.id = prefix + name;
    controls.set(name, { input, fault });
    return fault;
  };
  const label = (name: string, text: string, required: boolean): HTMLElement =>
    element('label', { htmlFor: prefix + name }, text, required && element('small', {}, ` ${word('required')}`));

  const field = ({ name, type, label: text, required, max, placeholder = '' }: Field): HTMLElement => {
    const common = { name, maxLength: max, required };
    const input = type === 'textarea'
      ? element('textarea', { ...common, rows: 3 })
      : element('input', { ...common, type, placeholder, autocomplete: type === 'text' ? name : type });
    if (type === 'tel') arrange(input as HTMLInputElement);
    const fault = control(name, input);
    return element('div', { className: 'field' }, label(name, text, required), input, fault);
  };

  const box = ({ purpose, label: text, required, url }: Consent): HTMLElement => {
    const name = `consents.${purpose}`;
    const input = element('input', { type: 'checkbox', required });
    const fault = control(name, input);
    const link = element('a', { href: host + url, target: '_blank', rel: 'noopener' }, word('read'));
    return element('div', { className: 'box' }, input, label(name, text, required), link, fault);
  };

  const trap = element('input', { tabIndex: -1, autocomplete: 'off', name: form.trap });
  const summary = element('div', { className: 'summary', role: 'alert' });
  const button = element('button', { type: 'submit' }, word('send'));
  const fields = element('form', { noValidate: true },
    summary,
    ...form.fields.map(field),
    element('div', { className: 'away', 'aria-hidden': 'true' }, element('label', {}, word('trap'), trap)),
    ...form.consents.map(box),
    button,
    form.operator && element('p', { className: 'operator' }, `${word('operator')}: ${form.operator}`),
  );
  const status = element('div', { className: 'status', role: 'status', tabIndex: -1 });
  const node = element('section', { className: 'form', lang: form.lang },
    element('h2', {}, form.title ?? word('title')),
    form.intro && element('p', {}, form.intro),
    fields,
    status,
  );

  const say = (code: string): string => errors[code] ?? errors[''] ?? '';

  /** Marks what is to be mended and leads there. */
  const mend = (faults: Fault[], before?: string): void => {
    fields.hidden = false;
    status.replaceChildren();
    const general = faults.filter((fault) => !controls.has(fault.field)).map((fault) => say(fault.code));
    const lines = [before, faults.length > general.length && word('mend'), ...new Set(general)];
    summary.replaceChildren(...lines.filter(Boolean).map((line) => element('p', {}, line)));
    for (const [name, { input, fault }] of controls) {
      const found = faults.find((one) => one.field === name);
      fault.textContent = found ? say(found.code) : '';
      input.setAttribute('aria-invalid', String(!!found));
      input.setAttribute('aria-describedby', found ? fault.id : '');
    }
    const first = [...controls.values()].find(({ fault }) => fault.textContent);
    if (first) first.input.focus();
  };

  const done = (title: string, text: string): void => {
    fields.hidden = true;
    status.replaceChildren(element('h3', {}, title), element('p', {}, text));
    status.focus();
  };

  const taken = (): void => {
    const again = element('button', { type: 'button' }, word('again'));
    done(word('thanks'), form.thanks ?? word('thanks_more'));
    status.append(again);
    again.onclick = () => {
      fields.reset();
      mend([]);
      since = performance.now();
      controls.values().next().value?.input.focus();
    };
    tell('sent');
  };

  const refused = ({ code, faults }: Exclude<Answer, 'taken'>, before?: string): void => {
    mend(faults.length ? faults : [{ field: '', code }], before);
    tell('refused', faults[0]?.code ?? code);
  };

  const value = (name: string): string | undefined => controls.get(name)?.input.value.trim() || undefined;
  const ticked = (purpose: string): boolean => {
    const input = controls.get(`consents.${purpose}`)?.input;
    return input instanceof HTMLInputElement && input.checked;
  };

  /** What can be seen here already, so that nothing is sent or kept without it. */
  const missing = (): Fault[] => {
    const faults: Fault[] = [];
    for (const { name, required, type } of form.fields) {
      const text = value(name);
      if (!text && required) faults.push({ field: name, code: 'contact_required' });
      if (text && type === 'tel' && text.replace(/\D/g, '').length < PHONE_DIGITS) {
        faults.push({ field: name, code: 'invalid_phone' });
      }
    }
    for (const { purpose, required } of form.consents) {
      if (required && !ticked(purpose)) faults.push({ field: `consents.${purpose}`, code: 'consent_required' });
    }
    return faults;
  };

  const body = (): string => {
    const consents = form.consents.map(({ purpose, version, text_sha256 }) =>
      [purpose, { granted: ticked(purpose), version, text_sha256 }]);
    return JSON.stringify({
      ...Object.fromEntries(form.fields.map(({ name }) => [name, value(name)])),
      consents: Object.fromEntries(consents),
      attribution: attribution(Date.now()),
      locale: form.lang,
      bot_check: { honeypot: trap.value, elapsed_millis: Math.round(performance.now() - since) },
    });
  };

  fields.onsubmit = async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    const faults = missing();
    mend(faults);
    if (faults.length) return;
    button.disabled = true;
    button.textContent = word('sending');
    const { id, answer, written } = await send(body());
    button.disabled = false;
    button.textContent = word('send');
    if (answer === 'taken') taken();
    else if (answer) refused(answer);
    else {
      waitsFor = id;
      done(word('waits'), word(written ? 'waiting' : 'waiting_here'));
      tell('queued');
    }
  };

  return {
    node,
    shown: () => {
      since = performance.now();
    },
    answered: (id, answer) => {
      const mine = id === waitsFor;
      if (answer === 'taken') {
        if (mine) taken();
        else tell('sent');
      } else {
        refused(mine ? answer : { ...answer, faults: [] }, word('waited'));
      }
    },
  };
}

/** Separators of a phone number come while it is typed; it is read when the field is left. */
function arrange(input: HTMLInputElement): void {
  input.addEventListener('input', (event) => {
    if ((event as InputEvent).isComposing) return;
    const [text, caret] = mask(input.value, input.selectionStart ?? input.value.length);
    if (text === input.value) return;
    input.value = text;
    input.setSelectionRange(caret, caret);
  });
  input.addEventListener('change', () => {
    input.value = settled(input.value);
  });
}
