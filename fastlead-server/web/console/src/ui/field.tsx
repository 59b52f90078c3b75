import { useId } from 'react';
import type { ComponentProps, ReactNode } from 'react';

export const inputLooks =
  'min-h-10 w-full rounded-lg border border-edge bg-panel px-3 py-1.5 text-text aria-invalid:border-bad';

interface FieldProps {
  label: string;
  hint?: string | undefined;
  fault?: string | undefined;
  children: (props: {
    id: string;
    'aria-describedby': string | undefined;
    'aria-invalid': boolean;
  }) => ReactNode;
}

/** A control with its label, a hint and what is wrong with it. */
export function Field({ label, hint, fault, children }: FieldProps) {
  const id = useId();
  const told = [hint ? `${id}-hint` : '', fault ? `${id}-fault` : ''].filter(Boolean).join(' ');
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children({ id, 'aria-describedby': told || undefined, 'aria-invalid': fault !== undefined })}
      {hint && (
        <p id={`${id}-hint`} className="text-sm text-dim">
          {hint}
        </p>
      )}
      {fault && (
        <p id={`${id}-fault`} className="text-sm font-medium text-bad">
          {fault}
        </p>
      )}
    </div>
  );
}

export function Input({ className = '', ...rest }: ComponentProps<'input'>) {
  return <input className={`${inputLooks} ${className}`} {...rest} />;
}

interface SelectProps extends Omit<ComponentProps<'select'>, 'onChange'> {
  options: { value: string; label: string }[];
  onValue: (value: string) => void;
}

/** The browser's own list: better on phones, and it needs no inline style. */
export function Select({ options, onValue, className = '', ...rest }: SelectProps) {
  return (
    <select
      className={`${inputLooks} ${className}`}
      onChange={(event) => {
        onValue(event.target.value);
      }}
      {...rest}
    >
      {options.map(({ value, label }) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  );
}
