// The widget: finds out where it stands, loads its form and shows it. Everything happens after the page is read.
import { type Definition, load } from './definition';
import { element, shadow } from './dom';
import css from './form.css';
import { type View, view } from './form';
import { type Queue, queue } from './queue';
import { note } from './touch';

const running = ((window as unknown as { fastlead?: Set<string> }).fastlead ??= new Set());

function start(script: HTMLScriptElement): void {
  const { source: key = '', mode = 'inline', lang = document.documentElement.lang, label, queue: keeps } = script.dataset;
  const once = `${key} ${mode}`;
  if (!key || running.has(once)) return;
  running.add(once);
  const host = new URL(script.src).origin;
  const views: View[] = [];

  const tell = (event: string, code?: string): void => {
    document.dispatchEvent(new CustomEvent(`fastlead:${event}`, { detail: { source: key, code } }));
  };
  const waiting: Queue = queue(`${host}/v1/capture/${key}`, key, keeps !== 'off', (id, answer) => {
    if (views.length) for (const one of views) one.answered(id, answer);
    else tell(answer === 'taken' ? 'sent' : 'refused');
  });
  const made = (form: Definition): View => {
    const one = view(form, { host, send: waiting.send, tell });
    views.push(one);
    return one;
  };

  const inline = (form: Definition): void => {
    const given = [...document.querySelectorAll<HTMLElement>(`[data-fastlead="${CSS.escape(key)}"]`)];
    if (!given.length) {
      const place = element('div');
      if (document.head.contains(script) || !script.isConnected) document.body.append(place);
      else script.after(place);
      given.push(place);
    }
    for (const place of given) {
      const inside = element('div');
      place.replaceChildren(inside);
      shadow(inside, css).append(made(form).node);
    }
    tell('shown');
  };

  const popup = (form: Definition): void => {
    const around = element('div');
    const root = shadow(around, css);
    const one = made(form);
    const close = element('button', { className: 'close', type: 'button', 'aria-label': form.words['close'] }, '×');
    const dialog = element('dialog', { 'aria-label': form.title ?? form.words['title'] }, close, one.node);
    const page = document.documentElement;
    let before = '';
    let opener: Element | null = null;

    const open = (from: Element): void => {
      opener = from;
      before = page.style.overflow;
      page.style.overflow = 'hidden';
      dialog.showModal();
      one.shown();
      tell('shown');
    };
    close.onclick = () => dialog.close();
    dialog.onclick = ({ target, clientX, clientY }) => {
      const { left, right, top, bottom } = dialog.getBoundingClientRect();
      if (target === dialog && (clientX < left || clientX > right || clientY < top || clientY > bottom)) dialog.close();
    };
    dialog.onclose = () => {
      page.style.overflow = before;
      if (opener instanceof HTMLElement) opener.focus();
    };
    root.append(dialog);
    if (mode === 'button') {
      const call = element('button', { className: 'call', type: 'button' }, label ?? form.words['call']);
      call.onclick = () => open(call);
      root.prepend(call);
    }
    document.body.append(around);
    document.addEventListener('click', (event) => {
      const from = (event.target as Element | null)?.closest('[data-fastlead-open]');
      const wanted = from?.getAttribute('data-fastlead-open');
      // Another form of the page may have been opened by it already.
      if (!from || (wanted && wanted !== key) || event.defaultPrevented) return;
      // A link there leads to the hosted form where there is no widget.
      event.preventDefault();
      open(from);
    });
  };

  note(location.search, Date.now());
  void waiting.flush();
  addEventListener('online', () => void waiting.flush());
  void load({ host, key, lang }).then((form) => form && (mode === 'inline' ? inline : popup)(form));
}

const own = document.currentScript;
const script = own instanceof HTMLScriptElement && own.dataset['source']
  ? own
  : document.querySelector<HTMLScriptElement>('script[data-source][src*="/w.js"]');
if (script) {
  if (document.readyState === 'loading') addEventListener('DOMContentLoaded', () => start(script));
  else start(script);
}
