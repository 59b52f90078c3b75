// In place of `react-remove-scroll`, which writes a style element: `styles.css` keeps the page behind a dialog still.
import { Slot } from 'radix-ui';
import type { ReactNode } from 'react';

interface RemoveScrollProps {
  children: ReactNode;
  as?: unknown;
  allowPinchZoom?: boolean;
  shards?: unknown;
  enabled?: boolean;
}

export function RemoveScroll({ children }: RemoveScrollProps) {
  return <Slot.Root>{children}</Slot.Root>;
}

RemoveScroll.classNames = { fullWidth: '', zeroRight: '' };
