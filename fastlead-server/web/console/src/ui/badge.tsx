import { cva } from 'class-variance-authority';
import type { LucideIcon } from 'lucide-react';

export type Tone = 'plain' | 'accent' | 'good' | 'warn' | 'bad';

const looks = cva('inline-flex items-center gap-1 rounded-full px-2 py-0.5 text-sm font-medium', {
  variants: {
    tone: {
      plain: 'bg-sunk text-text',
      accent: 'bg-accent-soft text-accent',
      good: 'bg-good-soft text-good',
      warn: 'bg-warn-soft text-warn',
      bad: 'bg-bad-soft text-bad',
    },
  },
});

/** A state: a sign, a word and a colour, never the colour alone. */
export function Badge({ tone, sign: Sign, children }: { tone: Tone; sign: LucideIcon; children: string }) {
  return (
    <span className={looks({ tone })}>
      <Sign aria-hidden size={14} />
      {children}
    </span>
  );
}
