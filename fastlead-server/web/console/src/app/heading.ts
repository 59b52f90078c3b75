import { useEffect } from 'react';

/** Names the page for the browser's tabs and history. */
export function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · FastLead`;
  }, [title]);
}
