// What the server says about a form (`GET /w/{key}.json`), and where it is kept for the day when the server is away.
import { keep, kept } from './storage';

export interface Field {
  name: string;
  type: string;
  label: string;
  required: boolean;
  max: number;
  placeholder?: string;
}

export interface Consent {
  purpose: string;
  label: string;
  required: boolean;
  version: string;
  text_sha256: string;
  url: string;
}

export interface Definition {
  lang: string;
  title?: string;
  intro?: string;
  operator?: string;
  thanks?: string;
  fields: Field[];
  consents: Consent[];
  trap: string;
  words: Record<string, string>;
  errors: Record<string, string>;
}

export interface Place {
  host: string;
  key: string;
  lang: string;
}

/** How long the server may take: less where the form of an earlier visit can be shown instead. */
const PATIENCE_MILLIS = 10_000;
const PATIENCE_WITH_FORM_MILLIS = 2_500;

const isDefinition = (value: unknown): value is Definition =>
  typeof value === 'object' && value !== null && Array.isArray((value as Definition).fields) &&
  Array.isArray((value as Definition).consents) && !!(value as Definition).words && !!(value as Definition).errors;

/** The form of today, or that of an earlier visit where the server does not answer; nothing where it takes none. */
export async function load({ host, key, lang }: Place): Promise<Definition | undefined> {
  const name = `form:${key}:${lang}`;
  const earlier = kept(name);
  const known = isDefinition(earlier) ? earlier : undefined;
  try {
    const response = await fetch(`${host}/w/${key}.json?lang=${lang}`, {
      credentials: 'omit',
      signal: AbortSignal.timeout(known ? PATIENCE_WITH_FORM_MILLIS : PATIENCE_MILLIS),
    });
    if (response.ok) {
      const form: unknown = await response.json();
      if (isDefinition(form)) {
        keep(name, form);
        return form;
      }
    } else if ([403, 404, 410].includes(response.status)) {
      // It is the owner of the site who can do something about this, and looks into the console.
      console.warn('fastlead:', (await response.json()).detail);
      keep(name, undefined);
      return undefined;
    }
  } catch {
    // No connection, no answer in time, or an answer of somebody in between.
  }
  return known;
}
