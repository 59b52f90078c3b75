import { useBlocker } from '@tanstack/react-router';
import { texts, useTexts } from './text';

const words = texts(
  { sure: 'Изменения не сохранены. Уйти без них?' },
  { sure: 'The changes are not saved. Leave without them?' },
);

/** Asks once before a changed form is left; one that was not changed does not ask. */
export function useLeaveGuard(isChanged: boolean): void {
  const t = useTexts(words);
  useBlocker({
    shouldBlockFn: ({ current, next }) => current.pathname !== next.pathname && !window.confirm(t.sure),
    enableBeforeUnload: () => isChanged,
    disabled: !isChanged,
  });
}
