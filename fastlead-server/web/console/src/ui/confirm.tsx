import { Button } from './button';
import { Dialog } from './dialog';
import { Fault } from './state';
import { texts, useTexts } from '@/app/text';

const words = texts({ cancel: 'Отмена' }, { cancel: 'Cancel' });

interface ConfirmProps {
  open: boolean;
  title: string;
  text: string;
  /** What the button that does it says. */
  action: string;
  bad?: boolean;
  busy: boolean;
  error: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks once before something that is not taken back. */
export function Confirm({
  open,
  title,
  text,
  action,
  bad = false,
  busy,
  error,
  onConfirm,
  onClose,
}: ConfirmProps) {
  const t = useTexts(words);
  return (
    <Dialog open={open} onClose={onClose} title={title} description={text}>
      {error ? <Fault error={error} /> : null}
      <div className="flex flex-wrap justify-end gap-2">
        <Button onClick={onClose}>{t.cancel}</Button>
        <Button look={bad ? 'bad' : 'main'} disabled={busy} onClick={onConfirm}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
