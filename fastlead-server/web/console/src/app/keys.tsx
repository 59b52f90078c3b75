// Keys that lead somewhere: `g` and a letter. They do nothing while something is typed, and can be switched off.
import { useRouter } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { create } from 'zustand';
import { Dialog } from '@/ui/dialog';
import { texts, useTexts } from './text';

const words = texts(
  {
    title: 'Клавиши',
    keys: [
      ['g, затем l', 'заявки'],
      ['g, затем c', 'каналы'],
      ['g, затем p', 'политики'],
      ['/', 'поиск заявок'],
      ['j, k', 'следующая и предыдущая заявка списка'],
      ['?', 'этот список'],
    ],
    on: 'Клавиши включены',
  },
  {
    title: 'Keys',
    keys: [
      ['g, then l', 'leads'],
      ['g, then c', 'channels'],
      ['g, then p', 'policies'],
      ['/', 'search leads'],
      ['j, k', 'next and previous lead of the list'],
      ['?', 'this list'],
    ],
    on: 'Keys are on',
  },
);

const KEY = 'fastlead:keys';

function readSwitch(): boolean {
  try {
    return localStorage.getItem(KEY) !== 'off';
  } catch {
    return true;
  }
}

const useSwitch = create<{ on: boolean; set: (on: boolean) => void }>((set) => ({
  on: readSwitch(),
  set: (on) => {
    set({ on });
    try {
      localStorage.setItem(KEY, on ? 'on' : 'off');
    } catch {
      // It holds for this page.
    }
  },
}));

/** Whether a key belongs to somebody else: it is typed, or combined with another one. */
export function isTaken(event: Pick<KeyboardEvent, 'ctrlKey' | 'altKey' | 'metaKey' | 'target'>): boolean {
  if (event.ctrlKey || event.altKey || event.metaKey) return true;
  const at = event.target instanceof Element ? event.target : null;
  return at?.closest('input, select, textarea, [contenteditable], [role=dialog]') != null;
}

const ROOMS = { l: '/leads', c: '/channels', p: '/policies' } as const;

function step(by: 1 | -1): void {
  const rows = [...document.querySelectorAll<HTMLElement>('[data-row]')].filter(
    (row) => row.offsetParent !== null,
  );
  const at = rows.findIndex((row) => row === document.activeElement);
  const next = rows[at === -1 ? (by === 1 ? 0 : rows.length - 1) : at + by];
  next?.focus();
}

interface Help {
  open: boolean;
  close: () => void;
}

export function useShortcuts(): Help {
  const router = useRouter();
  const [open, setOpen] = useState(false);
  const on = useSwitch((state) => state.on);
  useEffect(() => {
    let after = '';
    const press = (event: KeyboardEvent) => {
      if (isTaken(event)) return;
      if (event.key === '?') {
        setOpen(true);
        return;
      }
      if (!on) return;
      const room = after === 'g' ? Object.entries(ROOMS).find(([key]) => key === event.key)?.[1] : undefined;
      after = event.key;
      if (room) void router.navigate({ to: room });
      else if (event.key === 'j') step(1);
      else if (event.key === 'k') step(-1);
      else if (event.key === '/') {
        const search = document.querySelector<HTMLInputElement>('[data-search]');
        if (!search) return;
        event.preventDefault();
        search.focus();
      }
    };
    addEventListener('keydown', press);
    return () => {
      removeEventListener('keydown', press);
    };
  }, [on, router]);
  return {
    open,
    close: () => {
      setOpen(false);
    },
  };
}

export function ShortcutsHelp({ open, close }: Help) {
  const t = useTexts(words);
  const { on, set } = useSwitch();
  return (
    <Dialog open={open} onClose={close} title={t.title}>
      <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-2">
        {t.keys.map(([key, what]) => (
          <div key={key} className="contents">
            <dt className="font-mono">{key}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <label className="tap flex items-center gap-2">
        <input
          type="checkbox"
          className="size-6"
          checked={on}
          onChange={(event) => {
            set(event.target.checked);
          }}
        />
        {t.on}
      </label>
    </Dialog>
  );
}
