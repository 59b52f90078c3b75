import { useEffect, useRef } from 'react';
import { useLook } from '@/app/look';
import { named, texts, useTexts } from '@/app/text';
import { Field, Input, Select, inputLooks } from '@/ui/field';
import type { SchemaField, Typed } from './schema';
import { choices, labels } from './words';

const words = texts(
  {
    kept: 'Задано и не показывается. Пустое поле оставит прежнее.',
    preset: (value: string) => `Если пусто: ${value}`,
    byItself: 'Как обычно',
    yes: 'Да',
    no: 'Нет',
    needed: 'обязательно',
    lines: 'По одному значению в строке.',
  },
  {
    kept: 'Given, and not shown. Left empty, it stays as it is.',
    preset: (value: string) => `If empty: ${value}`,
    byItself: 'As usual',
    yes: 'Yes',
    no: 'No',
    needed: 'needed',
    lines: 'One value a line.',
  },
);

interface SchemaFormProps {
  fields: SchemaField[];
  typed: Typed;
  onTyped: (typed: Typed) => void;
  /** What is wrong, by the path of the field below `config`. */
  faults: Map<string, string>;
  /** Fields whose credential is given already. */
  kept: Set<string>;
  prefix?: string;
}

/** A form made of the schema of a configuration. The first field with a fault gets the focus. */
export function SchemaForm({ fields, typed, onTyped, faults, kept, prefix = '' }: SchemaFormProps) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (faults.size > 0 && prefix === '') {
      place.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
    }
  }, [faults, prefix]);
  return (
    <div ref={place} className="grid gap-4">
      {fields.map((field) => (
        <One key={field.name} {...{ field, typed, onTyped, faults, kept, prefix }} />
      ))}
    </div>
  );
}

function One({
  field,
  typed,
  onTyped,
  faults,
  kept,
  prefix,
}: Required<Omit<SchemaFormProps, 'fields'>> & { field: SchemaField }) {
  const t = useTexts(words);
  const l = useTexts(labels);
  const c = useTexts(choices);
  const locale = useLook((look) => look.locale);
  const key = prefix + field.name;
  const label = `${named(l, field.name)}${field.required && field.kind !== 'group' ? ` (${t.needed})` : ''}`;
  if (field.kind === 'group') {
    return (
      <fieldset className="grid gap-3 rounded-xl border border-line p-3">
        <legend className="px-1 text-sm font-semibold">{label}</legend>
        <SchemaForm fields={field.fields} prefix={`${key}.`} {...{ typed, onTyped, faults, kept }} />
      </fieldset>
    );
  }
  const value = typed[key] ?? '';
  const change = (next: string) => {
    onTyped({ ...typed, [key]: next });
  };
  // The texts of schemas are English: a page in Russian shows what it can say itself.
  const hints = [
    kept.has(key) ? t.kept : '',
    locale === 'en' ? field.description : '',
    locale === 'ru' && ['lines', 'choices'].includes(field.kind) ? t.lines : '',
    locale === 'ru' && field.preset && field.kind !== 'yes' ? t.preset(field.preset) : '',
  ];
  const rows =
    ['lines', 'pairs', 'json', 'choices', 'secrets'].includes(field.kind) || field.name.endsWith('_pem');
  return (
    <Field label={label} hint={hints.filter(Boolean).join(' ') || undefined} fault={faults.get(key)}>
      {(props) => {
        if (field.kind === 'choice') {
          const known = field.choices.map((choice) => ({
            value: choice.value,
            label: named(c, choice.value),
          }));
          return (
            <Select
              {...props}
              value={value}
              onValue={change}
              options={[{ value: '', label: t.byItself }, ...known]}
            />
          );
        }
        if (field.kind === 'yes') {
          const usual = field.preset === 'true' ? t.yes : t.no;
          return (
            <Select
              {...props}
              value={value}
              onValue={change}
              options={[
                { value: '', label: `${t.byItself} (${usual})` },
                { value: 'true', label: t.yes },
                { value: 'false', label: t.no },
              ]}
            />
          );
        }
        if (rows) {
          return (
            <textarea
              {...props}
              rows={3}
              spellCheck={false}
              autoComplete="off"
              className={`${inputLooks} font-mono text-sm`}
              value={value}
              onChange={(event) => {
                change(event.target.value);
              }}
            />
          );
        }
        return (
          <Input
            {...props}
            type={field.kind === 'secret' ? 'password' : 'text'}
            autoComplete={field.kind === 'secret' ? 'new-password' : 'off'}
            inputMode={field.kind === 'number' ? 'numeric' : undefined}
            spellCheck={false}
            value={value}
            onChange={(event) => {
              change(event.target.value);
            }}
          />
        );
      }}
    </Field>
  );
}
