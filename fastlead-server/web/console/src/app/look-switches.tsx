import { useLook } from './look';
import type { Theme } from './look';
import { texts, useTexts } from './text';
import { Button } from '@/ui/button';
import { Select } from '@/ui/field';

const words = texts(
  { theme: 'Тема', themes: { system: 'Как в системе', light: 'Светлая', dark: 'Тёмная' } },
  { theme: 'Theme', themes: { system: 'As the system', light: 'Light', dark: 'Dark' } },
);

const THEMES: Theme[] = ['system', 'light', 'dark'];

/** Language and theme. */
export function LookSwitches() {
  const t = useTexts(words);
  const { locale, theme, setLocale, setTheme } = useLook();
  const other = locale === 'ru' ? 'en' : 'ru';
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button
        lang={other}
        onClick={() => {
          setLocale(other);
        }}
      >
        {other === 'ru' ? 'Русский' : 'English'}
      </Button>
      <Select
        aria-label={t.theme}
        className="w-auto"
        value={theme}
        onValue={(value) => {
          setTheme(THEMES.find((known) => known === value) ?? 'system');
        }}
        options={THEMES.map((value) => ({ value, label: t.themes[value] }))}
      />
    </div>
  );
}
