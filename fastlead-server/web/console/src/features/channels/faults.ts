import { Refusal } from '@/api/client';

/** What is wrong with a configuration, by the path of the field; `''` for the configuration as a whole. */
export function configFaults(error: unknown): Map<string, string> {
  const faults = new Map<string, string>();
  if (!(error instanceof Refusal)) return faults;
  for (const { field, message } of error.problem?.errors ?? []) {
    const path = field === 'config' ? '' : field.replace(/^config\./, '').replace(/\[\d+\]$/, '');
    if (!faults.has(path)) faults.set(path, message);
  }
  return faults;
}
