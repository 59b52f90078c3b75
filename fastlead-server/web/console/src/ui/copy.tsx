import { Check, Copy as Sign } from 'lucide-react';
import { useEffect, useState } from 'react';
import { texts, useTexts } from '@/app/text';
import { Button } from './button';

const words = texts(
  { copy: (what: string) => `Скопировать: ${what}`, done: 'Скопировано' },
  { copy: (what: string) => `Copy: ${what}`, done: 'Copied' },
);

/** Copies a text. Browsers allow it on secure pages; elsewhere the button is left out. */
export function Copy({ text, what }: { text: string; what: string }) {
  const t = useTexts(words);
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => {
      setDone(false);
    }, 2000);
    return () => {
      clearTimeout(timer);
    };
  }, [done]);
  if (!window.isSecureContext) return null;
  return (
    <>
      <Button
        look="quiet"
        className="px-2"
        aria-label={t.copy(what)}
        onClick={() => {
          void navigator.clipboard.writeText(text).then(() => {
            setDone(true);
          });
        }}
      >
        {done ? <Check aria-hidden size={16} /> : <Sign aria-hidden size={16} />}
      </Button>
      <span role="status" className="sr-only">
        {done ? t.done : ''}
      </span>
    </>
  );
}
