import { cva } from 'class-variance-authority';
import type { VariantProps } from 'class-variance-authority';
import type { ComponentProps } from 'react';

export const buttonLooks = cva(
  'inline-flex min-h-9 items-center justify-center gap-2 rounded-lg px-3 py-1.5 text-sm font-medium whitespace-nowrap transition-colors disabled:opacity-60',
  {
    variants: {
      look: {
        main: 'bg-accent text-on-accent hover:brightness-110',
        plain: 'border border-edge bg-panel text-text hover:bg-sunk',
        quiet: 'text-text hover:bg-sunk',
        bad: 'border border-bad bg-panel text-bad hover:bg-bad-soft',
      },
    },
    defaultVariants: { look: 'plain' },
  },
);

interface ButtonProps extends ComponentProps<'button'>, VariantProps<typeof buttonLooks> {}

export function Button({ look, className = '', type = 'button', ...rest }: ButtonProps) {
  return <button type={type} className={`${buttonLooks({ look })} ${className}`} {...rest} />;
}
