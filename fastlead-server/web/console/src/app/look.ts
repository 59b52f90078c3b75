// Language and theme: what the person has chosen in this browser. Nothing personal is kept here.
import { create } from 'zustand';

export type Locale = 'ru' | 'en';
export type Theme = 'system' | 'light' | 'dark';

const KEY = 'fastlead:look';

interface Kept {
  locale: Locale;
  theme: Theme;
}

export interface Look extends Kept {
  setLocale: (locale: Locale) => void;
  setTheme: (theme: Theme) => void;
}

function isOneOf<T extends string>(value: unknown, known: readonly T[]): value is T {
  return known.some((name) => name === value);
}

/** What was kept, as far as it makes sense; else the language of the browser. */
export function read(text: string | null, languages: readonly string[]): Kept {
  let kept: unknown;
  try {
    kept = text === null ? null : JSON.parse(text);
  } catch {
    kept = null;
  }
  const fields: Record<string, unknown> = typeof kept === 'object' && kept !== null ? { ...kept } : {};
  const spoken = languages
    .map((tag) => tag.slice(0, 2).toLowerCase())
    .find((tag) => isOneOf<Locale>(tag, ['ru', 'en']));
  const browser: Locale = isOneOf<Locale>(spoken, ['ru', 'en']) ? spoken : 'ru';
  return {
    locale: isOneOf<Locale>(fields.locale, ['ru', 'en']) ? fields.locale : browser,
    theme: isOneOf<Theme>(fields.theme, ['system', 'light', 'dark']) ? fields.theme : 'system',
  };
}

function stored(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    // Storage is refused: the choice holds for this page.
    return null;
  }
}

function keep({ locale, theme }: Kept): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ locale, theme }));
  } catch {
    // As above.
  }
}

export const useLook = create<Look>((set, get) => ({
  ...read(stored(), navigator.languages),
  setLocale: (locale) => {
    set({ locale });
    keep(get());
  },
  setTheme: (theme) => {
    set({ theme });
    keep(get());
  },
}));

/** Shows the choice on the page, now and whenever it changes. */
export function wear(): void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const show = () => {
    const { locale, theme } = useLook.getState();
    document.documentElement.lang = locale;
    document.documentElement.dataset.theme = theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  };
  show();
  useLook.subscribe(show);
  dark.addEventListener('change', show);
}
