// Texts in both languages side by side: one that is missing in a language does not compile.
import { useLook } from './look';
import type { Locale } from './look';

export type Texts<T> = Record<Locale, T>;

export function texts<T>(ru: T, en: NoInfer<T>): Texts<T> {
  return { ru, en };
}

/** The texts in the language of the page. */
export function useTexts<T>(both: Texts<T>): T {
  return both[useLook((look) => look.locale)];
}

const RU = new Intl.PluralRules('ru');
const EN = new Intl.PluralRules('en');

/** A number with its word: 1 лид, 2 лида, 5 лидов. */
export function countRu(number: number, one: string, few: string, many: string): string {
  const form = RU.select(number);
  return `${number.toLocaleString('ru')} ${form === 'one' ? one : form === 'few' ? few : many}`;
}

/** A number with its word: 1 lead, 2 leads. */
export function countEn(number: number, one: string, other: string): string {
  return `${number.toLocaleString('en')} ${EN.select(number) === 'one' ? one : other}`;
}

/** The name of a code; a code that this console does not know is shown as it is. */
export function named(names: Record<string, string>, code: string): string {
  return Object.hasOwn(names, code) ? (names[code] ?? code) : code;
}
