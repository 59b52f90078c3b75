import { X } from 'lucide-react';
import { Dialog as Primitive } from 'radix-ui';
import { useRef } from 'react';
import type { ReactNode } from 'react';
import { texts, useTexts } from '@/app/text';
import { Button } from './button';

const words = texts({ close: 'Закрыть' }, { close: 'Close' });

interface DialogProps {
  open: boolean;
  onClose: () => void;
  title: string;
  description?: string;
  children: ReactNode;
  /** Where it stands: in the middle, or as a sheet at the side. */
  place?: 'middle' | 'side';
}

const PLACES = {
  middle:
    'top-1/2 left-1/2 max-h-[90dvh] w-[min(32rem,calc(100vw-2rem))] -translate-x-1/2 -translate-y-1/2 rounded-2xl',
  side: 'inset-y-0 left-0 w-[min(20rem,85vw)]',
};

export function Dialog({ open, onClose, title, description, children, place = 'middle' }: DialogProps) {
  const t = useTexts(words);
  // Dialogs are opened by what a page knows, not by a trigger of theirs: whoever had the focus gets it back.
  const before = useRef<HTMLElement | null>(null);
  return (
    <Primitive.Root
      open={open}
      onOpenChange={(shown) => {
        if (!shown) onClose();
      }}
    >
      <Primitive.Portal>
        <Primitive.Overlay className="fixed inset-0 z-40 bg-black/50" />
        <Primitive.Content
          className={`fixed z-50 grid content-start gap-4 overflow-auto border border-line bg-panel p-5 shadow-xl ${PLACES[place]}`}
          onOpenAutoFocus={() => {
            before.current = document.activeElement instanceof HTMLElement ? document.activeElement : null;
          }}
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            before.current?.focus();
          }}
          {...(description ? {} : { 'aria-describedby': undefined })}
        >
          <div className="flex items-start justify-between gap-3">
            <Primitive.Title className="pt-1 text-lg font-semibold">{title}</Primitive.Title>
            <Primitive.Close asChild>
              <Button look="quiet" aria-label={t.close} className="shrink-0">
                <X aria-hidden size={18} />
              </Button>
            </Primitive.Close>
          </div>
          {description && <Primitive.Description className="text-dim">{description}</Primitive.Description>}
          {children}
        </Primitive.Content>
      </Primitive.Portal>
    </Primitive.Root>
  );
}
